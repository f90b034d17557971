package wire

import (
	"errors"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

var (
	testInfoHash = metainfo.InfoHash([]byte("AAAAAAAAAAAAAAAAAAAA"))
	testPeerID   = metainfo.PeerID([]byte("-SH0100-abcdefghijkl"))
)

// testHandshake has the bits of BEP 10 (reserved_byte[5] & 0x10) and of BEP 6
// (reserved[7] |= 0x04).
const testHandshake = "\x13BitTorrent protocol" +
	"\x00\x00\x00\x00\x00\x10\x00\x04" +
	"AAAAAAAAAAAAAAAAAAAA" +
	"-SH0100-abcdefghijkl"

func TestHandshake(t *testing.T) {
	h := NewHandshake(testInfoHash, testPeerID)
	b := AppendHandshake(nil, h)
	if string(b) != testHandshake || len(b) != HandshakeLen {
		t.Errorf("AppendHandshake = %q, want %q", b, testHandshake)
	}
	got, rest, err := ParseHandshake(append(b, "rest"...))
	if err != nil || got != h || string(rest) != "rest" {
		t.Errorf("ParseHandshake = %+v, %q, %v; want %+v", got, rest, err, h)
	}
}

func TestHandshakeBits(t *testing.T) {
	tests := []struct {
		at                  int
		bit                 byte
		fast, extended, dht bool
	}{
		{0, 0x00, false, false, false},
		{7, 0x04, true, false, false},
		{5, 0x10, false, true, false},
		{7, 0x01, false, false, true},
		{7, 0xfa, false, false, false},
		{5, 0xef, false, false, false},
	}
	for _, tt := range tests {
		var h Handshake
		h.Reserved[tt.at] = tt.bit
		if h.Fast() != tt.fast || h.Extended() != tt.extended || h.DHT() != tt.dht {
			t.Errorf("byte %d = %#x: fast %t, extended %t, dht %t", tt.at, tt.bit, h.Fast(), h.Extended(), h.DHT())
		}
	}
	if h := NewHandshake(testInfoHash, testPeerID); !h.Fast() || !h.Extended() || h.DHT() {
		t.Error("NewHandshake must offer fast and extended, and no DHT")
	}
}

func TestShortHandshake(t *testing.T) {
	for n := range HandshakeLen {
		if _, _, err := ParseHandshake([]byte(testHandshake[:n])); err != ErrShort {
			t.Errorf("%d bytes: %v, want ErrShort", n, err)
		}
	}
}

// Another protocol is known by its first wrong byte: there is no waiting for
// 68 bytes that never come.
func TestHandshakeOfAnotherProtocol(t *testing.T) {
	for _, s := range []string{"G", "GET / HTTP/1.1\r\n", "\x13BitTorrent protocok", "\x13bit"} {
		_, _, err := ParseHandshake([]byte(s))
		if !errors.As(err, new(ProtocolError)) {
			t.Errorf("%q: %v, want a ProtocolError", s, err)
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte(testHandshake))
	f.Add([]byte(testHandshake[:30]))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := ParseHandshake(b)
		if err != nil {
			return
		}
		if again := AppendHandshake(nil, h); string(again) != string(b[:len(b)-len(rest)]) {
			t.Fatalf("AppendHandshake(ParseHandshake(%x)) = %x", b, again)
		}
	})
}
