package metainfo

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// InfoHash names a torrent: the 20-byte SHA-1 of the bencoded info
// dictionary exactly as it stands in the .torrent file (BEP 3). The zero
// value names no torrent.
type InfoHash [20]byte

// String returns the 40 lower-case hexadecimal digits of h.
func (h InfoHash) String() string { return hex.EncodeToString(h[:]) }

// ParseInfoHash reads an info-hash as magnet links write it (BEP 9): 40
// hexadecimal digits or 32 base32 characters, of either case.
func ParseInfoHash(s string) (h InfoHash, err error) {
	switch len(s) {
	case 40:
		_, err = hex.Decode(h[:], []byte(s))
	case 32:
		var n int
		n, err = base32.StdEncoding.Decode(h[:], []byte(strings.ToUpper(s)))
		if err == nil && n != len(h) { // the decoder skips line ends and takes padding
			err = errors.New("not 32 base32 characters")
		}
	default:
		err = fmt.Errorf("%d characters long", len(s))
	}
	if err != nil {
		return InfoHash{}, fmt.Errorf("info-hash %q: %w; expected 40 hexadecimal digits or 32 base32 characters", shorten(s), err)
	}
	return h, nil
}

// shorten keeps what is no info-hash from filling the screen.
func shorten(s string) string {
	const most = 64 // in bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// PeerID is the 20-byte name a client gives itself for one session (BEP 3).
// The zero value is no peer.
type PeerID [20]byte

// peerIDPrefix is the client's part of its peer id, in the Azureus style of
// BEP 20: two letters for the client and four digits for its version.
const peerIDPrefix = "-SH0100-"

// NewPeerID returns a fresh peer id: the prefix "-SH0100-" and twelve random
// characters. It uses crypto/rand; a simulator makes its own with PeerIDFrom.
func NewPeerID() PeerID {
	var tail [12]byte
	rand.Read(tail[:]) // never fails: crypto/rand ends the program instead
	return PeerIDFrom(tail)
}

// PeerIDFrom returns the peer id whose last twelve characters are drawn from
// tail. They are kept alphanumeric, because some trackers and most logs print
// them.
func PeerIDFrom(tail [12]byte) PeerID {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-."
	var id PeerID
	copy(id[:], peerIDPrefix)
	for i, b := range tail {
		id[len(peerIDPrefix)+i] = alphabet[b%64]
	}
	return id
}

// String returns the id with every byte outside printable ASCII as \xNN, so
// that a hostile id cannot reach a terminal or a log raw.
func (id PeerID) String() string {
	var b strings.Builder
	for _, c := range id {
		if c >= 0x20 && c < 0x7f && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}
