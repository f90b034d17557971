package server

import (
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"
)

// idTick is how often the secret behind connection ids changes.
const idTick = time.Minute

// BEP 15: "Trackers should accept the connection ID until two minutes after
// it has been send." Clients that keep one for five minutes exist; they are
// let in, and counted as late. An id is taken for maxIDAge to maxIDAge+1 ticks.
const (
	promptIDAge = 2
	maxIDAge    = 6
)

// connectionIDs makes and checks the connection ids of BEP 15 without keeping
// any, "a syn cookie like approach".
//
// The attack: who writes a victim's address into his packets has us send up to
// twelve times their bytes to it. So he must first have received an id at the
// address that he announces from, and must not be able to compute it. An id is
// 56 bits of a CBC-MAC by AES, under a key that only this process has, over the
// tick and the address; the last byte is that of the tick, which saves trying
// several. The port is left out: there are NATs that change it with each packet.
type connectionIDs struct {
	block cipher.Block
	mac   [aes.BlockSize]byte // here, for it would be allocated elsewhere
}

// newConnectionIDs returns one for each of the goroutines that are to agree.
func newConnectionIDs(n int) []connectionIDs {
	var key [16]byte
	crand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // not with 16 bytes
	}
	ids := make([]connectionIDs, n)
	for i := range ids {
		ids[i].block = block
	}
	return ids
}

// issue returns the id for an address.
func (c *connectionIDs) issue(now time.Duration, addr netip.Addr) uint64 {
	return c.at(tickOf(now), addr)
}

// check reports whether id was issued to an address not too long ago, and
// whether it is later than BEP 15 wants.
func (c *connectionIDs) check(now time.Duration, addr netip.Addr, id uint64) (ok, late bool) {
	tick := tickOf(now)
	age := uint8(tick) - uint8(id)
	if age > maxIDAge {
		return false, false
	}
	return c.at(tick-uint32(age), addr) == id, age > promptIDAge
}

func (c *connectionIDs) at(tick uint32, addr netip.Addr) uint64 {
	clear(c.mac[:])
	binary.BigEndian.PutUint32(c.mac[:], tick)
	c.block.Encrypt(c.mac[:], c.mac[:])
	ip := addr.As16()
	subtle.XORBytes(c.mac[:], c.mac[:], ip[:])
	c.block.Encrypt(c.mac[:], c.mac[:])
	return binary.BigEndian.Uint64(c.mac[:])&^0xff | uint64(uint8(tick))
}

// tickOf counts ticks. It wraps without harm.
func tickOf(now time.Duration) uint32 { return uint32(now / idTick) }
