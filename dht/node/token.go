package node

import (
	"crypto/sha1"
	"crypto/subtle"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	tokenLen  = 8 // bytes; guessing one takes 2^63 packets
	secretLen = 16
)

// tokens makes the tokens that prove that a node receives at the address it
// stores from. BEP 5: "uses the SHA1 hash of the IP address concatenated onto
// a secret that changes every five minutes and tokens up to ten minutes old are
// accepted".
type tokens struct {
	current, last [secretLen]byte
	epoch         time.Duration // of current, in units of rotateEvery, counted from 1; 0 before the first
}

// rotate draws new secrets when they are due. The epochs are those of the
// clock, not counted from the last use: so no token lives longer than two.
func (t *tokens) rotate(now time.Duration, rnd *rand.Rand) {
	epoch := now/rotateEvery + 1
	if epoch == t.epoch {
		return
	}
	if t.last = t.current; epoch != t.epoch+1 || t.epoch == 0 {
		t.last = newSecret(rnd)
	}
	t.current, t.epoch = newSecret(rnd), epoch
}

func newSecret(rnd *rand.Rand) (s [secretLen]byte) {
	for i := range s {
		s[i] = byte(rnd.Uint32())
	}
	return s
}

// make returns the token of the address.
func (t *tokens) make(now time.Duration, rnd *rand.Rand, ip netip.Addr) [tokenLen]byte {
	t.rotate(now, rnd)
	return tokenOf(&t.current, ip)
}

// check reports whether token was made for the address not long ago.
func (t *tokens) check(now time.Duration, rnd *rand.Rand, ip netip.Addr, token []byte) bool {
	t.rotate(now, rnd)
	current, last := tokenOf(&t.current, ip), tokenOf(&t.last, ip)
	return subtle.ConstantTimeCompare(token, current[:])|subtle.ConstantTimeCompare(token, last[:]) == 1
}

func tokenOf(secret *[secretLen]byte, ip netip.Addr) [tokenLen]byte {
	var b [secretLen + 16]byte
	addr := ip.As16()
	copy(b[copy(b[:], secret[:]):], addr[:])
	sum := sha1.Sum(b[:])
	return [tokenLen]byte(sum[:tokenLen])
}
