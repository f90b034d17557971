package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// entryLen is the length in bytes of one event in the transcript.
const entryLen = 32

// transcript hashes the events of a run as they are delivered. Two runs with
// the same hash delivered the same events at the same times in the same order.
// The entries are gathered, because a hash call for each would cost more than
// the hashing.
type transcript struct {
	hash hash.Hash
	buf  []byte
}

func newTranscript() transcript {
	return transcript{hash: sha256.New(), buf: make([]byte, 0, 1024*entryLen)}
}

func (t *transcript) add(ev *Event) {
	if len(t.buf) == cap(t.buf) {
		t.hash.Write(t.buf)
		t.buf = t.buf[:0]
	}
	n := len(t.buf)
	t.buf = t.buf[:n+entryLen]
	b := (*[entryLen]byte)(t.buf[n:])
	binary.LittleEndian.PutUint64(b[0:], uint64(ev.at))
	binary.LittleEndian.PutUint32(b[8:], uint32(ev.To))
	binary.LittleEndian.PutUint32(b[12:], uint32(ev.Kind)|uint32(ev.Sub)<<8|uint32(ev.size)<<16)
	binary.LittleEndian.PutUint32(b[16:], uint32(ev.Flow))
	binary.LittleEndian.PutUint32(b[20:], ev.A)
	binary.LittleEndian.PutUint32(b[24:], ev.B)
	binary.LittleEndian.PutUint32(b[28:], ev.C)
}

func (t *transcript) sum() (sum [32]byte) {
	t.hash.Write(t.buf)
	t.buf = t.buf[:0]
	t.hash.Sum(sum[:0])
	return sum
}
