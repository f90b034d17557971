package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The three examples of BEP 9.
const (
	bep9Request = "d8:msg_typei0e5:piecei0ee"
	bep9Data    = "d8:msg_typei1e5:piecei0e10:total_sizei3425ee"
	bep9Reject  = "d8:msg_typei2e5:piecei0ee"
)

func TestMetadataExamples(t *testing.T) {
	for in, want := range map[string]MetadataMessage{
		bep9Request:                    {Type: MetadataRequest},
		bep9Data + "xxxxxxxx":          {Type: MetadataData, TotalSize: 3425, Data: []byte("xxxxxxxx")},
		bep9Reject:                     {Type: MetadataReject},
		"d8:msg_typei0e5:piecei4095ee": {Type: MetadataRequest, Piece: 4095},
	} {
		got, err := ParseMetadata([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseMetadata(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		if again := AppendMetadata([]byte("y"), want); string(again) != "y"+in {
			t.Errorf("AppendMetadata(%+v) = %q, want %q", want, again, "y"+in)
		}
	}
}

// BEP 9: "an unrecognized message ID MUST be ignored".
func TestMetadataOfUnknownType(t *testing.T) {
	for _, kind := range []int64{3, 255, 256, -1} {
		m, err := ParseMetadata(fmt.Appendf(nil, "d8:msg_typei%de5:piece1:xe", kind))
		if err != nil || !reflect.DeepEqual(m, MetadataMessage{Type: MetadataType(kind)}) {
			t.Errorf("type %d: %+v, %v", kind, m, err)
		}
	}
}

func TestParseMetadataRefuses(t *testing.T) {
	piece := strings.Repeat("x", MetadataPieceLen)
	if _, err := ParseMetadata([]byte(bep9Data + piece)); err != nil {
		t.Errorf("a whole piece: %v", err)
	}
	for name, in := range map[string]string{
		"nothing":             "",
		"a list":              "le",
		"an empty dictionary": "de",
		"cut off":             "d8:msg_typei0e5:piecei0e",
		"no type":             "d5:piecei0ee",
		"a type of letters":   "d8:msg_type1:05:piecei0ee",
		"no piece":            "d8:msg_typei0ee",
		"a piece of letters":  "d8:msg_typei2e5:piece1:0e",
		"a negative piece":    "d8:msg_typei0e5:piecei-1ee",
		"a huge piece":        "d8:msg_typei0e5:piecei2147483648ee",
		"past int64":          "d8:msg_typei0e5:piecei9223372036854775808ee",
		"no size":             "d8:msg_typei1e5:piecei0ee" + piece,
		"size zero":           "d8:msg_typei1e5:piecei0e10:total_sizei0ee",
		"a negative size":     "d8:msg_typei1e5:piecei0e10:total_sizei-5ee",
		"a long piece":        bep9Data + piece + "x",
		"a key twice":         "d8:msg_typei0e8:msg_typei1e5:piecei0ee",
		"deep":                strings.Repeat("l", 1<<20),
		"a claimed string":    "d8:msg_type2000000000:e",
	} {
		if m, err := ParseMetadata([]byte(in)); !errors.As(err, new(ProtocolError)) {
			t.Errorf("%s: %+v, %v; want a ProtocolError", name, m.Type, err)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(bep9Request))
	f.Add([]byte(bep9Data + "xxxxxxxx"))
	f.Add([]byte(bep9Reject + "behind"))
	f.Add([]byte("d5:piecei7e8:msg_typei1e10:total_sizei114690e1:zleex"))
	f.Add([]byte("d8:msg_typei3ee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err != nil {
			return
		}
		if len(m.Data) > MetadataPieceLen || !bytes.HasSuffix(b, m.Data) || m.Piece < 0 || m.TotalSize < 0 {
			t.Fatalf("ParseMetadata(%q) = %+v", b, m)
		}
		again, err := ParseMetadata(AppendMetadata(nil, m))
		if err != nil || again.Type != m.Type || again.Piece != m.Piece || again.TotalSize != m.TotalSize ||
			!bytes.Equal(again.Data, m.Data) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
