package cdn

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"
)

// entryLen is the length in bytes of one event in the transcript.
const entryLen = 28

// transcript hashes the events of a run: two runs with the same hash had the
// same events at the same times in the same order. Entries are gathered,
// because a call for each would cost more than the hashing.
type transcript struct {
	hash   hash.Hash
	buf    []byte
	events uint64
}

func newTranscript() transcript {
	return transcript{hash: sha256.New(), buf: make([]byte, 0, 1024*entryLen)}
}

func (t *transcript) add(at time.Duration, k kind, who int32, other uint32, numBytes int64) {
	t.events++
	if len(t.buf) == cap(t.buf) {
		t.hash.Write(t.buf)
		t.buf = t.buf[:0]
	}
	n := len(t.buf)
	t.buf = t.buf[:n+entryLen]
	b := (*[entryLen]byte)(t.buf[n:])
	binary.LittleEndian.PutUint64(b[0:], uint64(at))
	binary.LittleEndian.PutUint32(b[8:], uint32(k))
	binary.LittleEndian.PutUint32(b[12:], uint32(who))
	binary.LittleEndian.PutUint32(b[16:], other)
	binary.LittleEndian.PutUint64(b[20:], uint64(numBytes))
}

func (t *transcript) sum() []byte {
	t.hash.Write(t.buf)
	t.buf = t.buf[:0]
	return t.hash.Sum(nil)
}
