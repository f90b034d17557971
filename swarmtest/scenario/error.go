package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is a mistake in a scenario or a trace: its text says what to do.
type Error struct {
	File string
	Line int // from 1; 0 if it is in no line
	Text string
}

// Error begins with the file and the line, as compilers have it.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors are all mistakes of a scenario that were found, in the order of their lines.
type Errors []*Error

// Error has a line for each.
func (e Errors) Error() string {
	var lines []string
	for _, one := range e {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// maxErrors is arbitrary: half a screen.
const maxErrors = 10

// sorted returns the first of e as an error, nil if there are none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return e[:min(len(e), maxErrors)]
}
