package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/shoal-bt/shoal/metainfo/units"
)

// kind is what the value of a key is.
type kind uint8

const (
	text      kind = iota // string
	name                  // string: a name that a person gives, or refers to
	word                  // string: one of a few
	boolean               // bool
	integer               // int64
	number                // float64
	size                  // int64: bytes, as "100MiB"
	rate                  // int64: bytes/s, as "6000kbit/s"
	frequency             // float64: a second, as "10/s"
	duration              // time.Duration, as "1h30m"
	durations             // []time.Duration
	names                 // []string: each a name
	aTable                // map[string]any: [key]
	tables                // []map[string]any: [[key]]
)

// describe says what a file must have.
func (k *key) describe() string {
	what := [...]string{
		text: `a text in quotes`, name: `a name in quotes`, word: "one of " + quoteAll(k.words),
		boolean: "true or false", integer: "a whole number", number: "a number",
		size: `a size in quotes, like "100MiB"`, rate: `a rate in quotes, like "6000kbit/s"`,
		frequency: `how many in a time, in quotes, like "10/s", "30/min" or "100/h"`,
		duration:  `a duration in quotes, like "90s" or "1h30m"`, durations: `a list of durations in quotes, like ["10ms", "45ms"]`,
		names:  `a list of names in quotes, like ["eu", "us"]`,
		aTable: "a table: [" + k.name + "]", tables: "one or more tables: [[" + k.name + "]]",
	}[k.kind]
	if k.special != "" {
		what += fmt.Sprintf(", or %q", k.special)
	}
	return what
}

func quoteAll(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, strconv.Quote(w))
	}
	return strings.Join(quoted, ", ")
}

// noNumber is what an integer's special word stands for.
const noNumber = -1

// errKind stands for "that is not what describe says".
var errKind = errors.New("of another kind")

// parse turns a value of TOML into the Go value of the key's kind, and holds it to the
// key's bounds.
func (k *key) parse(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return k.parseString(v)
	case bool:
		if k.kind == boolean {
			return v, nil
		}
	case int64:
		switch k.kind {
		case integer:
			return v, k.inBounds(float64(v))
		case number:
			return float64(v), k.inBounds(float64(v))
		}
	case float64:
		if k.kind == number {
			return v, k.inBounds(v)
		}
	case []any:
		switch k.kind {
		case durations:
			return parseList(k, v, (&key{kind: duration, min: -60, max: 60}).parseDuration)
		case names:
			return parseList(k, v, func(s string) (string, error) { return s, checkName(s) })
		}
	}
	return nil, errKind
}

func (k *key) parseString(s string) (any, error) {
	switch k.kind {
	case text:
		return s, k.checkText(s)
	case name:
		return s, checkName(s)
	case integer:
		if s == k.special && s != "" {
			return int64(noNumber), nil
		}
	case word:
		if !slices.Contains(k.words, s) {
			return nil, errKind
		}
		return s, nil
	case size:
		if s == k.special && s != "" {
			return Unlimited, nil
		}
		n, err := units.ParseSize(s)
		if err == nil {
			err = k.inBounds(float64(n))
		}
		return n, err
	case rate:
		return k.parseRate(s)
	case frequency:
		return k.parseFrequency(s)
	case duration:
		return k.parseDuration(s)
	}
	return nil, errKind
}

// checkText refuses what a terminal or a page would not show as it is written.
func (k *key) checkText(s string) error {
	if n := float64(len(s)); n < k.min || n > k.max {
		return fmt.Errorf("it has %d bytes, and must have %g to %g", len(s), k.min, k.max)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return fmt.Errorf("it holds %U, which does not print", r)
		}
	}
	return nil
}

// checkName keeps names to what file names, CSV and the paths of --set can hold.
func checkName(s string) error {
	if s == "" || len(s) > maxNameLen {
		return fmt.Errorf("a name has 1 to %d characters", maxNameLen)
	}
	for i, r := range s {
		letter := r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
		if !letter && (i == 0 || !strings.ContainsRune(" _-+,()", r)) {
			return errors.New("a name begins with a letter or digit, and has letters of ASCII, digits, spaces and _-+,() only")
		}
	}
	return nil
}

// parseRate has a word for no limit: 0 could be meant as "nothing".
func (k *key) parseRate(s string) (any, error) {
	if s == k.special && s != "" {
		return Unlimited, nil
	}
	n, err := units.ParseRate(s)
	if err == nil && n == 0 && k.special != "" {
		err = fmt.Errorf("0 is not a rate; write %q for no limit; clients that upload nothing are of a class with free_rider = true", k.special)
	}
	if err == nil {
		err = k.inBounds(float64(n))
	}
	return n, err
}

// perTime are the times of frequencies.
var perTime = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

func (k *key) parseFrequency(s string) (any, error) {
	count, per, _ := strings.Cut(s, "/")
	unit, known := perTime[per]
	n, err := strconv.ParseFloat(count, 64)
	if !known || err != nil {
		return nil, errKind
	}
	perSecond := n / unit.Seconds()
	return perSecond, k.inBounds(perSecond)
}

func (k *key) parseDuration(s string) (d time.Duration, err error) {
	if k.special != "" && s == k.special {
		return Forever, nil
	}
	if d, err = time.ParseDuration(s); err != nil {
		return 0, errKind
	}
	return d, k.inBounds(d.Seconds())
}

// parseList reads a list, of which each element is a text.
func parseList[T any](k *key, list []any, parse func(string) (T, error)) ([]T, error) {
	if n := float64(len(list)); n < k.min || n > k.max {
		return nil, fmt.Errorf("it has %d elements, and must have %g to %g", len(list), k.min, k.max)
	}
	var out []T
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, errKind
		}
		element, err := parse(s)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	return out, nil
}

// inBounds is false for a NaN, too.
func (k *key) inBounds(n float64) error {
	if n >= k.min && n <= k.max {
		return nil
	}
	return fmt.Errorf("it must be from %s to %s", k.bound(k.min), k.bound(k.max))
}

// bound writes a bound in the unit of the key.
func (k *key) bound(n float64) string {
	switch k.kind {
	case size:
		return units.FormatSize(int64(n))
	case rate:
		return units.FormatRate(int64(n))
	case duration, durations:
		return formatDuration(time.Duration(n * float64(time.Second)))
	case frequency:
		if n < 1 {
			return "one a year"
		}
		return formatNumber(n) + "/s"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// plain turns a Go value of the key's kind into what a file has for it.
func (k *key) plain(v any) any {
	switch v := v.(type) {
	case float64:
		if k.kind == frequency {
			return formatNumber(v) + "/s"
		}
	case int64:
		switch {
		case k.kind == integer && k.special != "" && v == noNumber:
			return k.special
		case (k.kind == size || k.kind == rate) && v == Unlimited:
			return k.special
		case k.kind == size:
			return units.FormatSize(v)
		case k.kind == rate:
			return units.FormatRate(v)
		}
	case time.Duration:
		if v == Forever {
			return k.special
		}
		return formatDuration(v)
	case []time.Duration:
		var list []string
		for _, d := range v {
			list = append(list, formatDuration(d))
		}
		return list
	}
	return v
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }

// formatDuration leaves out the zeros that Go writes: "1h", not "1h0m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
