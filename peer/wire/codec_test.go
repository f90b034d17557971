package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// unhex returns the bytes that s writes as hexadecimal digits and spaces.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// messageTests has every type of message as it stands on the wire and in a
// transcript. The bytes of the fast extension are those of BEP 6.
var messageTests = []struct {
	hex  string
	m    Message
	text string
}{
	{"00000000", Message{Type: KeepAlive}, "keep-alive"},
	{"00000001 00", Message{Type: Choke}, "choke"},
	{"00000001 01", Message{Type: Unchoke}, "unchoke"},
	{"00000001 02", Message{Type: Interested}, "interested"},
	{"00000001 03", Message{Type: NotInterested}, "not interested"},
	{"00000005 04 00000007", Message{Type: Have, Index: 7}, "have 7"},
	{"00000003 05 f080", Message{Type: Bitfield, Payload: []byte{0xf0, 0x80}}, "bitfield f080"},
	{"00000001 05", Message{Type: Bitfield, Payload: []byte{}}, "bitfield "},
	{"00000012 05 ffffffffffffffffffffffffffffffff00",
		Message{Type: Bitfield, Payload: append(bytes.Repeat([]byte{0xff}, 16), 0)},
		"bitfield ffffffffffffffffffffffffffffffff... (17 bytes)"},
	{"0000000d 06 0000000c 00004000 00004000",
		Message{Type: Request, Index: 12, Begin: 16384, Length: 16384}, "request 12 16384+16384"},
	{"0000000d 06 ffffffff fffffffe fffffffd",
		Message{Type: Request, Index: 1<<32 - 1, Begin: 1<<32 - 2, Length: 1<<32 - 3},
		"request 4294967295 4294967294+4294967293"},
	{"0000000c 07 0000000c 00004000 616263",
		Message{Type: Piece, Index: 12, Begin: 16384, Length: 3, Payload: []byte("abc")}, "piece 12 16384+3"},
	{"0000000d 08 0000000c 00004000 00004000",
		Message{Type: Cancel, Index: 12, Begin: 16384, Length: 16384}, "cancel 12 16384+16384"},
	{"00000003 09 1ae1", Message{Type: Port, Index: 6881}, "port 6881"},
	{"00000005 0d 00000102", Message{Type: Suggest, Index: 258}, "suggest 258"},
	{"00000001 0e", Message{Type: HaveAll}, "have all"},
	{"00000001 0f", Message{Type: HaveNone}, "have none"},
	{"0000000d 10 00000001 00000000 00004000",
		Message{Type: Reject, Index: 1, Length: 16384}, "reject 1 0+16384"},
	{"00000005 11 00000423", Message{Type: AllowedFast, Index: 1059}, "allowed fast 1059"},
	{"00000004 14 00 6465", Message{Type: Extended, Payload: []byte("de")}, "extended 0 (2 bytes)"},
	{"00000002 14 03", Message{Type: Extended, ExtID: 3, Payload: []byte{}}, "extended 3 (0 bytes)"},
	{"00000003 15 1b5d", Message{Type: 21, Payload: []byte("\x1b]")}, "unknown 21 (2 bytes)"},
	{"00000001 fe", Message{Type: 254, Payload: []byte{}}, "unknown 254 (0 bytes)"},
}

func TestAppendAndParseEveryMessage(t *testing.T) {
	for _, tt := range messageTests {
		want := unhex(t, tt.hex)
		if got := Append([]byte("x"), tt.m); string(got) != "x"+string(want) {
			t.Errorf("Append(%v) = %x, want %x", tt.m, got[1:], want)
		}
		m, rest, err := Parse(append(want, "rest"...))
		if err != nil || string(rest) != "rest" || !reflect.DeepEqual(m, tt.m) {
			t.Errorf("Parse(%x) = %+v, %q, %v; want %+v", want, m, rest, err, tt.m)
		}
		if got := tt.m.String(); got != tt.text {
			t.Errorf("String of %x = %q, want %q", want, got, tt.text)
		}
	}
}

func TestEveryBeginningOfAMessageIsShort(t *testing.T) {
	for _, tt := range messageTests {
		whole := unhex(t, tt.hex)
		for n := range whole {
			if _, rest, err := Parse(whole[:n]); err != ErrShort || len(rest) != n {
				t.Errorf("Parse(%x) = %d bytes left, %v; want all of them and ErrShort", whole[:n], len(rest), err)
			}
		}
	}
}

func TestParseRefusesWrongLengths(t *testing.T) {
	tests := []struct{ hex, want string }{
		{"ffffffff", "message of 4294967295 bytes"},
		{"00100003", "message of 1048579 bytes"},
		{"00100003 14", "message of 1048579 bytes"},
		{"00000002 00", "choke message of 2 bytes"},
		{"00000002 01", "unchoke message of 2 bytes"},
		{"00000002 02", "interested message of 2 bytes"},
		{"00000002 03", "not interested message of 2 bytes"},
		{"00000004 04", "have message of 4 bytes"},
		{"00000006 04", "have message of 6 bytes"},
		{"00080002 05", "bitfield message of 524290 bytes"},
		{"0000000c 06", "request message of 12 bytes"},
		{"0000000e 06", "request message of 14 bytes"},
		{"00000008 07", "piece message of 8 bytes"},
		{"00000009 07", "piece message of 9 bytes"},
		{"0002000a 07", "piece message of 131082 bytes"},
		{"00000001 08", "cancel message of 1 bytes"},
		{"00000005 09", "port message of 5 bytes"},
		{"00000001 0d", "suggest message of 1 bytes"},
		{"00000005 0e", "have all message of 5 bytes"},
		{"00000005 0f", "have none message of 5 bytes"},
		{"0000000c 10", "reject message of 12 bytes"},
		{"00000004 11", "allowed fast message of 4 bytes"},
		{"00000001 14", "extended message of 1 bytes"},
		{"00010002 15", "unknown 21 message of 65538 bytes"},
		{"00000001 ff", "keep-alive message of 1 bytes"},
	}
	for _, tt := range tests {
		_, _, err := Parse(unhex(t, tt.hex))
		var fault ProtocolError
		if !errors.As(err, &fault) || fault.What != tt.want {
			t.Errorf("Parse(%s): %v, want a ProtocolError %q", tt.hex, err, tt.want)
		}
	}
}

func TestParseAcceptsTheLongestMessages(t *testing.T) {
	for _, m := range []Message{
		{Type: Bitfield, Payload: make([]byte, MaxBitfieldLen)},
		{Type: Piece, Length: MaxBlockLen, Payload: make([]byte, MaxBlockLen)},
		{Type: Extended, ExtID: 1, Payload: make([]byte, MaxExtendedLen)},
		{Type: 22, Payload: make([]byte, MaxUnknownLen)},
	} {
		if _, rest, err := Parse(Append(nil, m)); err != nil || len(rest) != 0 {
			t.Errorf("Parse of %v: %v, %d bytes left", m.Type, err, len(rest))
		}
	}
}

func TestPieceWithoutPayloadIsAHeader(t *testing.T) {
	m := Message{Type: Piece, Index: 1, Begin: 2, Length: 3}
	header := Append(nil, m)
	if want := AppendPieceHeader(nil, 1, 2, 3); !bytes.Equal(header, want) || len(want) != PieceHeaderLen {
		t.Errorf("Append = %x, AppendPieceHeader = %x", header, want)
	}
	m.Payload = []byte("abc")
	if got, want := append(header, "abc"...), Append(nil, m); !bytes.Equal(got, want) {
		t.Errorf("header and block = %x, want %x", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range messageTests {
		f.Add(unhex(f, tt.hex))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := Parse(b)
		if err != nil {
			if len(rest) != len(b) {
				t.Fatalf("an error, and %d of %d bytes left", len(rest), len(b))
			}
			return
		}
		consumed := b[:len(b)-len(rest)]
		again := Append(nil, m)
		if !bytes.Equal(again, consumed) {
			t.Fatalf("Append(Parse(%x)) = %x", consumed, again)
		}
		if m2, _, err := Parse(again); err != nil || !reflect.DeepEqual(m2, m) {
			t.Fatalf("Parse(Append(%+v)) = %+v, %v", m, m2, err)
		}
		_ = m.String()
	})
}
