package scenario

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object; its keys are sorted when it is written.
type object = map[string]any

// Schema returns a JSON schema of scenario files, for editors. It is checked in as
// swarmtest/scenarios/schema.json. What only the reader of files checks is in the descriptions.
func Schema() []byte {
	root := file.schema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "A scenario of shoal swarm"
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(err) // strings and numbers always encode
	}
	return b.Bytes()
}

func (t *table) schema() object {
	properties, required := object{}, []string{}
	var conditions []any
	for i := range t.keys {
		k := &t.keys[i]
		properties[k.name] = k.schema()
		if k.when.key != "" {
			conditions = append(conditions, k.conditionSchema(t))
		} else if k.needed() || k.kind == tables && k.min > 0 || k.kind == aTable && k.table.needed() {
			required = append(required, k.name)
		}
	}
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if t.doc != "" {
		o["description"] = t.doc
	}
	if len(required) > 0 {
		o["required"] = required
	}
	if conditions != nil {
		o["allOf"] = conditions
	}
	return o
}

// needed reports whether a file must have the table.
func (t *table) needed() bool {
	for i := range t.keys {
		if t.keys[i].needed() && t.keys[i].when.key == "" {
			return true
		}
	}
	return false
}

// conditionSchema says beside which values of another key this one may be, or must be.
func (k *key) conditionSchema(t *table) object {
	is := object{"properties": object{k.when.key: object{"enum": k.when.values}}}
	if other := t.find(k.when.key); !k.when.holdsFor(other.def) {
		is["required"] = []string{k.when.key}
	}
	o := object{"if": is, "else": object{"properties": object{k.name: false}}}
	if k.needed() {
		o["then"] = object{"required": []string{k.name}}
	}
	return o
}

// holdsFor reports whether c holds where the key that it looks at is left out.
func (c condition) holdsFor(def any) bool {
	s, ok := def.(string)
	return ok && c.holds(s)
}

// Patterns of the values that are texts with a unit.
const (
	numberPattern    = `(\d+\.?\d*|\.\d+)`
	sizePattern      = `^` + numberPattern + ` *([kKMGT]?B|[KMGT]iB)?$`
	ratePattern      = `^` + numberPattern + ` *([kKMGT]?B|[KMGT]iB|[kKMG]?bit)?(/s)?$`
	frequencyPattern = `^[0-9.eE+-]+/(s|min|h|d)$`
	namePattern      = `^[A-Za-z0-9][A-Za-z0-9 _+,()-]*$`
	durationPattern  = `^[+-]?(0|(` + numberPattern + `(ns|us|µs|ms|s|m|h))+)$`
)

func (k *key) schema() object {
	o := object{}
	switch k.kind {
	case aTable:
		return k.table.schema()
	case tables:
		o = object{"type": "array", "items": k.table.schema(), "maxItems": k.max, "minItems": k.min}
		return o
	case boolean:
		o["type"] = "boolean"
	case integer, number:
		o["type"] = map[kind]string{integer: "integer", number: "number"}[k.kind]
		o["minimum"], o["maximum"] = k.min, k.max
		if k.special != "" {
			o["type"], o["pattern"] = []any{"integer", "string"}, "^"+k.special+"$"
		}
	case durations, names:
		pattern := map[kind]string{durations: durationPattern, names: namePattern}[k.kind]
		o["type"], o["items"] = "array", object{"type": "string", "pattern": pattern}
		o["minItems"], o["maxItems"] = k.min, k.max
	default:
		o["type"] = "string"
		k.stringSchema(o)
	}
	o["description"] = k.doc
	if k.def != nil {
		o["default"] = k.def
	}
	return o
}

func (k *key) stringSchema(o object) {
	switch k.kind {
	case word:
		o["enum"] = k.words
	case text:
		o["maxLength"], o["minLength"] = k.max, k.min
	case name:
		o["pattern"], o["maxLength"] = namePattern, maxNameLen
	default:
		pattern := map[kind]string{size: sizePattern, rate: ratePattern, frequency: frequencyPattern, duration: durationPattern}[k.kind]
		if k.special != "" {
			pattern += "|^" + k.special + "$"
		}
		o["pattern"] = pattern
	}
}
