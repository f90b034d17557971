package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// place is a table of a file that is being changed.
type place struct {
	table *table
	at    string
	raw   map[string]any
}

// assign puts "path=value" into what a file says.
func (d *decoder) assign(raw map[string]any, assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return assignError(assignment, "write KEY=VALUE, as content.length=10MiB or class.dsl.up=1Mbit/s")
	}
	p := &place{&file, "", raw}
	names := strings.Split(strings.TrimSpace(path), ".")
	k, rest, err := p.find(names)
	for err == nil && len(rest) > 0 {
		if rest, err = p.enter(k, rest); err == nil {
			k, rest, err = p.find(rest)
		}
	}
	if err != nil {
		return assignError(assignment, err.Error())
	}
	v, err := k.fromText(value)
	if err != nil || k.table != nil {
		return assignError(assignment, "write "+k.describe())
	}
	p.raw[k.name] = v
	d.set[join(p.at, k.name)] = assignment
	return nil
}

func assignError(assignment, text string) error {
	return &Error{setLabel(assignment), 0, text}
}

// setLabel stands for an assignment where a file and its line would.
func setLabel(assignment string) string { return "--set " + cut(assignment) }

// find returns the key that names begin with.
func (p *place) find(names []string) (*key, []string, error) {
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s is a table; name one of its keys: %s", p.at, strings.Join(p.table.names(), ", "))
	}
	k := p.table.find(names[0])
	if k == nil {
		return nil, nil, fmt.Errorf("there is no key %q; there are %s", join(p.at, names[0]), strings.Join(p.table.names(), ", "))
	}
	return k, names[1:], nil
}

// enter goes to the table that k and the first of names stand for.
func (p *place) enter(k *key, names []string) ([]string, error) {
	at := join(p.at, k.name)
	switch k.kind {
	case aTable:
		next, ok := p.raw[k.name].(map[string]any)
		if !ok {
			next = map[string]any{}
			p.raw[k.name] = next
		}
		*p = place{k.table, at, next}
		return names, nil
	case tables:
		list, _ := asTables(p.raw[k.name])
		i := indexOf(list, names[0])
		if i < 0 {
			return nil, fmt.Errorf("there is no %s %q; the file has %s", k.name, names[0], namesOf(list))
		}
		*p = place{k.table, at + "[" + strconv.Itoa(i) + "]", list[i]}
		return names[1:], nil
	}
	return nil, fmt.Errorf("%s is no table", at)
}

// indexOf finds an element by its name or its number; -1 if there is none.
func indexOf(list []map[string]any, called string) int {
	for i, m := range list {
		if calledBy(m) == called {
			return i
		}
	}
	if i, err := strconv.Atoi(called); err == nil && i >= 0 && i < len(list) {
		return i
	}
	return -1
}

// calledBy is the name of an element, which for a system may be its kind.
func calledBy(m map[string]any) any {
	if m["name"] == nil {
		return m["kind"]
	}
	return m["name"]
}

func namesOf(list []map[string]any) string {
	var names []string
	for _, m := range list {
		names = append(names, shorten(calledBy(m)))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// fromText turns the text of an assignment into what TOML would have given.
func (k *key) fromText(value string) (any, error) {
	switch k.kind {
	case boolean:
		return strconv.ParseBool(value)
	case integer:
		if value == k.special && value != "" {
			return value, nil
		}
		return strconv.ParseInt(value, 10, 64)
	case number:
		return strconv.ParseFloat(value, 64)
	case durations, names:
		var list struct{ Value []any }
		if len(value) > maxTextLen || strings.Count(value, "[") > 1 {
			return nil, errKind
		}
		_, err := toml.Decode("Value = "+value, &list)
		return list.Value, err
	}
	return value, nil
}
