package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
)

// env is the world that a command writes to.
type env struct {
	stdout, stderr   io.Writer
	stderrIsTerminal bool

	// Tests wait by these, when they are set: listening is called with what
	// begins to listen ("peer", "tracker", "dht", "metrics") and where, and for a
	// DHT node that has joined once more ("joined"), looked with the progress
	// of every transfer each time that it is drawn. late, if it returns true, has
	// the time of --timeout pass at once.
	listening func(what, addr string)
	looked    func(all []progress)
	late      func() bool
}

func (e *env) tellListening(what string, addr netip.AddrPort) {
	if e.listening != nil {
		e.listening(what, addr.String())
	}
}

// now is the time of downloads.
func (e *env) now() time.Time {
	now := time.Now()
	if e.late != nil && e.late() {
		now = now.Add(maxLate)
	}
	return now
}

// maxLate is more than any --timeout of a test.
const maxLate = 24 * time.Hour

// printf writes a line of results.
func (e *env) printf(format string, args ...any) {
	fmt.Fprintf(e.stdout, format, args...)
}

// logf writes a line of progress, or about something that went wrong.
func (e *env) logf(format string, args ...any) {
	fmt.Fprintf(e.stderr, format+"\n", args...)
}

// printJSON writes v as one object on a line of its own. Names stay readable
// (no \u003c for "<"), and what encoding/json leaves as it is though a terminal
// obeys it is escaped: U+007F to U+009F, and what changes the writing direction.
func (e *env) printJSON(v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	_, err := e.stdout.Write(escapeUnprintable(line.Bytes()))
	return err
}

// escapeUnprintable escapes the characters of a line of JSON that do not print.
// They occur inside of strings only.
func escapeUnprintable(line []byte) []byte {
	if !bytes.ContainsFunc(line, doesNotPrint) {
		return line
	}
	var out bytes.Buffer
	for _, r := range string(line) {
		switch high, low := utf16.EncodeRune(r); {
		case !doesNotPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// doesNotPrint leaves ASCII alone: encoding/json has escaped it, and the line
// ends with a newline.
func doesNotPrint(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }

// output is a stdout that remembers its first failure, and on it stops the
// command: what nobody can read is not worth going on for.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	err  error
	stop context.CancelFunc
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.err = fmt.Errorf("writing the results: %w", err)
		o.stop()
	}
	return n, err
}

// failure is the first error of a write, or nil.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// isClosedPipe reports whether the reader of our output went away. That is its
// right (shoal show x.torrent | head -1) and needs no message.
func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
