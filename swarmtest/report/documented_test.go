package report

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// keysOf returns the JSON keys of a type and of all types in it.
func keysOf(t reflect.Type, known map[reflect.Type]bool) (keys []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || known[t] {
		return nil
	}
	known[t] = true
	for i := range t.NumField() {
		field := t.Field(i)
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "" {
			keys = append(keys, key)
		}
		keys = append(keys, keysOf(field.Type, known)...)
	}
	return keys
}

func TestFormatsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "## Reports of experiments")
	if !found {
		t.Fatal("there is no section")
	}
	names := slices.Concat(peerColumns, sampleColumns, runColumns, topFiles[:len(topFiles)-1])
	for _, document := range []any{runDocument{}, replicasDocument{}, comparisonDocument{}, sweepDocument{}} {
		names = append(names, keysOf(reflect.TypeOf(document), map[reflect.Type]bool{})...)
	}
	for _, m := range metrics {
		names = append(names, m.key)
	}
	for _, name := range names {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/formats.md does not say what %q is", name)
		}
	}
	if len(names) < 120 {
		t.Errorf("only %d names were looked for", len(names))
	}
}
