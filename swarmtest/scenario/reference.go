package scenario

import (
	"fmt"
	"strings"
)

// Reference returns the tables of all keys, in Markdown: the middle of
// docs/scenarios.md.
func Reference() string {
	var b strings.Builder
	b.WriteString("### The top level\n\n")
	file.reference(&b)
	for _, k := range file.keys {
		if k.kind == aTable {
			fmt.Fprintf(&b, "\n### `[%s]`\n\n%s\n\n", k.name, k.table.doc)
			k.table.reference(&b)
		}
	}
	for _, k := range file.keys {
		if k.kind == tables {
			fmt.Fprintf(&b, "\n### `[[%s]]`\n\n%s At most %g.\n\n", k.name, k.table.doc, k.max)
			k.table.reference(&b)
		}
	}
	return b.String()
}

func (t *table) reference(b *strings.Builder) {
	b.WriteString("| key | value | default | |\n|---|---|---|---|\n")
	for i := range t.keys {
		k := &t.keys[i]
		if k.table == nil {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, k.valueDoc(), k.defaultDoc(), k.fullDoc())
		}
	}
}

// valueDoc says what the value is, within which bounds.
func (k *key) valueDoc() string {
	if k.kind == word {
		var words []string
		for _, w := range k.words {
			words = append(words, "`"+w+"`")
		}
		return strings.Join(words, ", ")
	}
	what := [...]string{
		text: "text", name: "name", boolean: "`true` or `false`", integer: "whole number", number: "number", size: "size",
		rate: "rate", frequency: "how many in a time", duration: "duration", durations: "list of durations",
		names: "list of names",
	}[k.kind]
	switch k.kind {
	case integer, number, size, rate, frequency, duration:
		what += fmt.Sprintf(", %s to %s", k.bound(k.min), k.bound(k.max))
	case text:
		what += fmt.Sprintf(", at most %g bytes", k.max)
	}
	if k.special != "" {
		what += ", or `" + k.special + "`"
	}
	return what
}

func (k *key) defaultDoc() string {
	switch {
	case k.def == "":
		return ""
	case k.def != nil:
		return fmt.Sprintf("`%v`", k.def)
	case k.optional:
		return ""
	}
	return "*needed*"
}

func (k *key) fullDoc() string {
	if k.when.key == "" {
		return k.doc
	}
	var values []string
	for _, v := range k.when.values {
		values = append(values, "`"+v+"`")
	}
	return fmt.Sprintf("%s Only with `%s` %s.", k.doc, k.when.key, strings.Join(values, ", "))
}
