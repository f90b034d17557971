package scenarios_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/scenarios"
)

// validate holds a value of TOML to a schema, as far as scenario.Schema uses the
// language: it returns what is wrong, "" if nothing is.
func validate(schema any, v any, at string) string {
	s, ok := schema.(map[string]any)
	if !ok {
		if schema == false {
			return at + " is not allowed"
		}
		return ""
	}
	if wrong := validateType(s, v, at); wrong != "" {
		return wrong
	}
	all, _ := s["allOf"].([]any)
	for _, one := range all {
		condition := one.(map[string]any)
		branch := "then"
		if validate(condition["if"], v, at) != "" {
			branch = "else"
		}
		if chosen, ok := condition[branch]; ok {
			if wrong := validate(chosen, v, at); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

func validateType(s map[string]any, v any, at string) string {
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Sprintf("%s = %v is none of %v", at, v, enum)
	}
	typ := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int64: "integer", reflect.Float64: "number", reflect.Map: "object", reflect.Slice: "array"}[reflect.ValueOf(v).Kind()]
	several, _ := s["type"].([]any)
	if want, ok := s["type"]; ok && several == nil && want != typ && !(want == "number" && typ == "integer") || several != nil && !slices.Contains(several, any(typ)) {
		return fmt.Sprintf("%s is of the type %s, and not %v", at, typ, want)
	}
	switch v := v.(type) {
	case string:
		if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			return fmt.Sprintf("%s = %q does not match %s", at, v, pattern)
		}
	case map[string]any:
		return validateObject(s, v, at)
	case []map[string]any:
		for i, element := range v {
			if wrong := validate(s["items"], element, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

func validateObject(s, v map[string]any, at string) string {
	properties, _ := s["properties"].(map[string]any)
	for key, value := range v {
		property, known := properties[key]
		if !known && s["additionalProperties"] == false {
			return fmt.Sprintf("%s has no %s", at, key)
		}
		if wrong := validate(property, value, at+"."+key); known && wrong != "" {
			return wrong
		}
	}
	required, _ := s["required"].([]any)
	for _, key := range required {
		if _, ok := v[key.(string)]; !ok {
			return fmt.Sprintf("%s lacks %v", at, key)
		}
	}
	return ""
}

// TestSchemaFits: what the reader takes fits the schema, also in its canonical form, and common
// mistakes do not.
func TestSchemaFits(t *testing.T) {
	var schema any
	if err := json.Unmarshal(scenario.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	fits := func(text string) string {
		var v map[string]any
		if _, err := toml.Decode(text, &v); err != nil {
			t.Fatal(err)
		}
		return validate(schema, v, "file")
	}
	for _, name := range scenarios.Names() {
		src, _ := scenarios.Source(name)
		for _, text := range []string{string(src.Data), string(parse(t, name).TOML())} {
			if wrong := fits(text); wrong != "" {
				t.Errorf("%s: %s", name, wrong)
			}
		}
	}
	src, _ := scenarios.Source("flash-crowd")
	for _, mistake := range [][2]string{
		{"peers = 1000", "pears = 1000"}, {"peers = 1000", `peers = "1000"`}, {`length = "100MiB"`, `length = "100 Mib"`},
		{`length = "100MiB"`, ``}, {`up = "400kbit/s"`, `up = "400kbps"`}, {`kind = "origin"`, `kind = "orgin"`},
		{`kind = "origin"`, `kind = "cdn"`}, {`kind = "origin"`, "kind = \"origin\"\nedges = 3"}, {"peers = 1000", "peers = 1000\nrate = \"3/s\""},
		{"peers = 1000", "peers = 1000\narrivals = \"poisson\""}, {`time = "72h"`, `time = "3 days"`}, {`title =`, `titel =`},
	} {
		if text := strings.Replace(string(src.Data), mistake[0], mistake[1], 1); fits(text) == "" {
			t.Errorf("the schema takes %q", mistake[1])
		}
	}
}
