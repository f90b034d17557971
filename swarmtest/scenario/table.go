package scenario

import "slices"

// table is a TOML table: the sections of a file, and the file itself.
type table struct {
	doc  string
	keys []key
}

// key is a key of a table, as the decoder, the canonical form, the schema and
// the reference have it.
type key struct {
	name string
	kind kind
	doc  string

	// def is the default, as a file has it; nil for none. A key without default
	// is needed, unless it is optional: then it is left out where it has Go's zero.
	def      any
	optional bool

	min, max float64  // of a number, size, rate (bytes/s), frequency (1/s) or duration (s); of the length of texts and lists
	words    []string // of a word: those that there are
	special  string   // of a rate or size: the word for Unlimited; of a duration: for Forever; of an integer: for noNumber

	// when says that the key has a meaning only beside certain values of a key before it.
	when condition

	table *table // of a table or a list of tables

	// ofRun is set for what belongs to a run: it is not in the canonical form.
	ofRun bool
}

// condition holds where the key of the same table has one of the values. The
// zero one always holds.
type condition struct {
	key    string
	values []string
}

func only(key string, values ...string) condition { return condition{key, values} }

func (c condition) holds(value string) bool { return c.key == "" || slices.Contains(c.values, value) }

// needed reports whether a file must have the key.
func (k *key) needed() bool {
	return k.def == nil && !k.optional && k.kind != aTable && k.kind != tables
}

// find returns the key of that name, or nil.
func (t *table) find(name string) *key {
	for i := range t.keys {
		if t.keys[i].name == name {
			return &t.keys[i]
		}
	}
	return nil
}

func (t *table) names() (names []string) {
	for _, k := range t.keys {
		names = append(names, k.name)
	}
	return names
}
