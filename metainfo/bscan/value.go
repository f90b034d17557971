package bscan

import "iter"

// Kind is the type of a Value.
type Kind uint8

// The kinds. None is the kind of the zero Value: something that is not there.
const (
	None Kind = iota
	Int
	String
	List
	Dict
)

// Value is a validated value, as a view of the bytes that Scan was given. It
// is small: pass it by value. The zero Value stands for what is absent, and
// every method works on it and on any kind, so that lookups can be chained:
//
//	name, ok := v.Get("info").Get("name").Str()
type Value struct{ b []byte }

// Kind returns the type of v.
func (v Value) Kind() Kind {
	if len(v.b) == 0 {
		return None
	}
	switch v.b[0] {
	case 'i':
		return Int
	case 'l':
		return List
	case 'd':
		return Dict
	}
	return String
}

// Bytes returns the original bytes of v, its bencoding: what an info-hash is
// taken over. It is nil if v is absent.
func (v Value) Bytes() []byte { return v.b[:len(v.b):len(v.b)] }

// Int returns the integer v, and whether v is one.
func (v Value) Int() (n int64, ok bool) {
	if v.Kind() != Int {
		return 0, false
	}
	digits := v.b[1 : len(v.b)-1]
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	for _, c := range digits {
		n = n*10 - int64(c-'0') // downwards: there is one more number below zero than above
	}
	if !negative {
		n = -n
	}
	return n, true
}

// Str returns the bytes of the string v, and whether v is one. They are a
// part of the original: copy them before that changes.
func (v Value) Str() (s []byte, ok bool) {
	if v.Kind() != String {
		return nil, false
	}
	return v.str(), true
}

func (v Value) str() []byte {
	start, _, _ := stringHead(v.b, 0)
	return v.b[start:len(v.b):len(v.b)]
}

// List yields the elements of the list v; nothing if v is not a list.
func (v Value) List() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != List {
			return
		}
		for pos := 1; pos < len(v.b)-1; {
			end := skip(v.b, pos)
			if !yield(Value{v.b[pos:end]}) {
				return
			}
			pos = end
		}
	}
}

// Dict yields the keys and values of the dictionary v in the order of the
// bytes, duplicates included; nothing if v is not a dictionary.
func (v Value) Dict() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != Dict {
			return
		}
		for pos := 1; pos < len(v.b)-1; {
			keyEnd := skip(v.b, pos)
			end := skip(v.b, keyEnd)
			if !yield(Value{v.b[pos:keyEnd]}.str(), Value{v.b[keyEnd:end]}) {
				return
			}
			pos = end
		}
	}
}

// Get returns the first value under key in the dictionary v; the zero Value
// if there is none or v is not a dictionary. It walks over v from the start:
// to read many keys of something large, range over Dict once.
func (v Value) Get(key string) Value {
	for k, value := range v.Dict() {
		if string(k) == key {
			return value
		}
	}
	return Value{}
}

// skip returns where the value at b[pos:] ends. b must be validated.
func skip(b []byte, pos int) int {
	for depth := 0; ; {
		switch b[pos] {
		case 'd', 'l':
			depth++
			pos++
		case 'e':
			depth--
			pos++
		case 'i':
			for b[pos] != 'e' {
				pos++
			}
			pos++
		default:
			start, length, _ := stringHead(b, pos)
			pos = start + length
		}
		if depth == 0 {
			return pos
		}
	}
}
