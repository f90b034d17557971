package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/shoal-bt/shoal/metainfo"
)

// KeyTextLen is the length of a key in a URL: 32 lower-case hexadecimal
// digits.
const KeyTextLen = 2 * len(Key{})

// Key is what a user shows in the path of his announce URL: 128 random bits.
// Whoever has it can announce in his name. It is told once and never stored,
// and does not print itself into a log.
type Key [16]byte

// KeyHash is the SHA-256 of a Key, which is what is stored and searched for. A
// key is random, so no salt and no slow hash is needed; and because keys are
// found by their hash, the time that takes tells nothing about them.
type KeyHash [sha256.Size]byte

var errKey = errors.New("this is no key: expected 32 hexadecimal digits")

// NewKey returns a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails: crypto/rand ends the program instead
	return k
}

// ParseKey reads a key as Reveal writes it; upper-case digits will do.
func ParseKey(s string) (k Key, err error) {
	if len(s) != KeyTextLen {
		return Key{}, errKey
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return Key{}, errKey // its own text would quote a digit
	}
	return k, nil
}

// Reveal returns the key as it stands in a URL.
func (k Key) Reveal() string { return hex.EncodeToString(k[:]) }

// Hash returns what is stored of the key.
func (k Key) Hash() KeyHash { return sha256.Sum256(k[:]) }

// ForTorrent returns a key for a single torrent, which says nothing about k. It
// is the same each time, so that who downloads a torrent often has one key for
// it, and a new one after his own was changed.
func (k Key) ForTorrent(h metainfo.InfoHash) (of Key) {
	sum := sha256.Sum256(slices.Concat([]byte("shoal torrent key\x00"), k[:], h[:]))
	return Key(sum[:len(of)])
}

// hidden is what a key is printed as.
const hidden = "(secret key)"

// Format hides the key from logs and errors, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText hides it from JSON and structured logs.
func (Key) MarshalText() ([]byte, error) { return []byte(hidden), nil }
