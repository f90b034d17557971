package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Source is a scenario that is to be read.
type Source struct {
	// File is the name of the file, for errors. Data is what it holds.
	File string
	Data []byte
	// Dir is its folder, for traces; nil if there is none.
	Dir fs.FS
	// Set are further values, each as "class.dsl.up=400kbit/s", which go
	// before those of the file. Elements of a list are called by their name, or
	// number from 0.
	Set []string
}

// Parse reads a scenario, fills in the defaults and checks it. The error is an
// Errors or an Error.
func (src Source) Parse() (*Scenario, error) {
	if len(src.Data) > maxFileLen {
		return nil, &Error{src.File, 0, fmt.Sprintf("it is longer than %d KiB; that is no scenario", maxFileLen>>10)}
	}
	raw, lines, err := src.decodeTOML()
	if err != nil {
		return nil, err
	}
	d := &decoder{file: src.File, lines: lines, set: map[string]string{}}
	for _, assignment := range src.Set {
		if err := d.assign(raw, assignment); err != nil {
			return nil, err
		}
	}
	s := &Scenario{Name: strings.TrimSuffix(path.Base(strings.ReplaceAll(src.File, "\\", "/")), ".toml")}
	d.table(&file, "", raw, reflect.ValueOf(s).Elem())
	if len(d.errs) == 0 {
		d.check(s)
	}
	if len(d.errs) == 0 && s.Demand.Arrivals == Trace {
		if err := s.readTrace(src.Dir, d); err != nil {
			return nil, err
		}
		d.checkSizes(s)
	}
	return s, d.errs.sorted()
}

// decodeTOML returns what the file says, and where.
func (src Source) decodeTOML() (raw map[string]any, lines lineOf, err error) {
	lines, line, err := findLines(string(src.Data))
	if err != nil {
		return nil, nil, &Error{src.File, line, err.Error()}
	}
	_, err = toml.Decode(string(src.Data), &raw)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		return nil, nil, &Error{src.File, syntax.Position.Line, "not TOML: " + syntax.Message}
	case err != nil:
		return nil, nil, &Error{src.File, 0, "not TOML: " + err.Error()}
	}
	return raw, lines, nil
}

// decoder fills the structs of a Scenario by the tables of keys.go.
type decoder struct {
	file  string
	lines lineOf
	set   map[string]string // the assignments by their paths
	errs  Errors
}

// failf notes a mistake at a path. What is not in the file is where its table is.
func (d *decoder) failf(at, format string, args ...any) {
	if assignment, ok := d.set[at]; ok {
		d.errs = append(d.errs, &Error{setLabel(assignment), 0, fmt.Sprintf(format, args...)})
		return
	}
	line := d.lines[at]
	for line == 0 && at != "" {
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
		line = d.lines[at]
	}
	d.errs = append(d.errs, &Error{d.file, line, fmt.Sprintf(format, args...)})
}

// table decodes m, which is at a path, into the struct dst.
func (d *decoder) table(t *table, at string, m map[string]any, dst reflect.Value) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if t.find(name) == nil {
			d.unknown(t, at, name)
		}
	}
	for i := range t.keys {
		k := &t.keys[i]
		v, given := m[k.name]
		d.key(k, at, v, given, dst)
	}
}

// unknown says what a key that there is not may have been meant to be.
func (d *decoder) unknown(t *table, at, name string) {
	where := "at the top level"
	if at != "" {
		where = "in [" + strings.TrimRight(at, "]0123456789[") + "]"
	}
	text := fmt.Sprintf("there is no key %q %s; it has %s", name, where, strings.Join(t.names(), ", "))
	if near := nearest(name, t.names()); near != "" {
		text = fmt.Sprintf("there is no key %q %s; did you mean %q?", name, where, near)
	}
	d.failf(join(at, name), "%s", text)
}

// key decodes one key of a table.
func (d *decoder) key(k *key, at string, v any, given bool, dst reflect.Value) {
	here := join(at, k.name)
	if !k.when.holds(k.when.of(dst)) {
		if given {
			d.failf(here, "%s has a meaning only with %s = %s; take it out", k.name, k.when.key, quoteAll(k.when.values))
		}
		return
	}
	field := fieldOf(dst, k)
	switch {
	case k.kind == aTable:
		d.subtable(k, here, v, given, field)
	case k.kind == tables:
		d.list(k, here, v, given, field)
	case given || k.def != nil:
		if !given {
			v = k.def
		}
		d.value(k, here, v, field)
	case k.needed():
		d.failf(here, "%s is missing; write %s = %s", here, k.name, k.describe())
	}
}

// of returns the value, as a text, of the key that c looks at.
func (c condition) of(dst reflect.Value) string {
	if c.key == "" {
		return ""
	}
	return fieldOf(dst, &key{name: c.key}).String()
}

// fieldOf returns the field of a struct that a key stands for.
func fieldOf(dst reflect.Value, k *key) reflect.Value {
	for i := range dst.NumField() {
		if dst.Type().Field(i).Tag.Get("toml") == k.name {
			return dst.Field(i)
		}
	}
	panic("scenario: no field for the key " + k.name) // a test goes through all
}

func (d *decoder) value(k *key, at string, v any, field reflect.Value) {
	parsed, err := k.parse(v)
	switch {
	case errors.Is(err, errKind):
		d.failf(at, "%s = %s: write %s", at, shorten(v), k.describe())
	case err != nil:
		d.failf(at, "%s = %s: %v", at, shorten(v), err)
	default:
		field.Set(reflect.ValueOf(parsed).Convert(field.Type()))
	}
}

// shorten writes a value of a file for an error.
func shorten(v any) string {
	var s string
	switch v := v.(type) {
	case string:
		s = strconv.Quote(cut(v))
	case map[string]any:
		s = "{...}"
	case []any, []map[string]any:
		s = "[...]"
	default:
		s = fmt.Sprint(v)
	}
	return s
}

// cut leaves the beginning of a text that is too long for an error.
func cut(s string) string {
	const most = 60 // arbitrary
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func (d *decoder) subtable(k *key, at string, v any, given bool, field reflect.Value) {
	m, ok := v.(map[string]any)
	if given && !ok {
		d.failf(at, "%s = %s: write %s", at, shorten(v), k.describe())
		return
	}
	d.table(k.table, at, m, field)
}

func (d *decoder) list(k *key, at string, v any, given bool, field reflect.Value) {
	list, ok := asTables(v)
	n := float64(len(list))
	switch {
	case given && !ok:
		d.failf(at, "%s = %s: write %s", at, shorten(v), k.describe())
		return
	case n < k.min:
		d.failf(at, "there is no [[%s]]; describe at least one", k.name)
		return
	case n > k.max:
		d.failf(at, "there are %d [[%s]]; at most %g are allowed", len(list), k.name, k.max)
		return
	}
	field.Set(reflect.MakeSlice(field.Type(), len(list), len(list)))
	for i, m := range list {
		d.table(k.table, at+"["+strconv.Itoa(i)+"]", m, field.Index(i))
	}
}

// asTables turns the two forms of a list of tables into one.
func asTables(v any) (list []map[string]any, ok bool) {
	switch v := v.(type) {
	case []map[string]any:
		return v, true
	case []any: // of inline tables
		for _, element := range v {
			m, ok := element.(map[string]any)
			if !ok {
				return nil, false
			}
			list = append(list, m)
		}
		return list, true
	}
	return nil, false
}

// nearest returns the name that s is nearly, or "".
func nearest(s string, names []string) string {
	for _, n := range names {
		long, short := n, s
		if len(long) < len(short) {
			long, short = short, long
		}
		if len(short) > 2 && (strings.HasPrefix(long, short) || oneEdit(long, short)) {
			return n
		}
	}
	return ""
}

// oneEdit reports whether long is short with a letter changed, one more, or two swapped.
func oneEdit(long, short string) bool {
	if len(long)-len(short) > 1 {
		return false
	}
	i := 0
	for i < len(short) && long[i] == short[i] {
		i++
	}
	if len(long) > len(short) {
		return long[i+1:] == short[i:]
	}
	return i+1 >= len(short) || long[i+1:] == short[i+1:] ||
		long[i] == short[i+1] && long[i+1] == short[i] && long[i+2:] == short[i+2:]
}
