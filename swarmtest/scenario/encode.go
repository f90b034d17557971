package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"

	"github.com/BurntSushi/toml"
)

// TOML returns the canonical form: every default filled in, in the order of
// the reference, without seed and replicas, which belong to a run. It
// is a scenario itself, and means the same.
func (s *Scenario) TOML() []byte {
	var b bytes.Buffer
	appendTable(&b, &file, "", reflect.ValueOf(s).Elem())
	return bytes.TrimLeft(b.Bytes(), "\n")
}

// Hash is the SHA-256 of TOML, in hex. With a seed and the version of Shoal it
// names a run.
func (s *Scenario) Hash() string {
	sum := sha256.Sum256(s.TOML())
	return hex.EncodeToString(sum[:])
}

// appendTable writes the plain keys of a table, then the tables in it.
func appendTable(b *bytes.Buffer, t *table, at string, v reflect.Value) {
	for i := range t.keys {
		k := &t.keys[i]
		if k.table != nil || k.ofRun || !k.when.holds(k.when.of(v)) {
			continue
		}
		if field := fieldOf(v, k); !k.optional || !field.IsZero() {
			line, err := toml.Marshal(map[string]any{k.name: k.plain(value(field))})
			if err != nil {
				panic(err) // texts, numbers and lists of texts always encode
			}
			b.Write(line)
		}
	}
	for i := range t.keys {
		k := &t.keys[i]
		here := join(at, k.name)
		switch k.kind {
		case aTable:
			fmt.Fprintf(b, "\n[%s]\n", here)
			appendTable(b, k.table, here, fieldOf(v, k))
		case tables:
			for j := range fieldOf(v, k).Len() {
				fmt.Fprintf(b, "\n[[%s]]\n", here)
				appendTable(b, k.table, here, fieldOf(v, k).Index(j))
			}
		}
	}
}

// value returns the value of a field as plain wants it.
func value(field reflect.Value) any {
	if field.Kind() == reflect.Int {
		return field.Int()
	}
	return field.Interface()
}
