package sim

import (
	"runtime"
	"testing"
	"time"
)

// maxBytesPeer bounds what a peer of a swarm needs, with its connections (nearly 65, each
// with 576 bytes at each of its two ends), the addresses it knows, and what the kernel has of it. It
// is a third more than what was measured.
const maxBytesPeer = 90 << 10

// TestMemoryOfACrowd runs a flash crowd and looks now and then at the memory that is in
// use: 10,000 peers are to fit into 2 GB, garbage included.
func TestMemoryOfACrowd(t *testing.T) {
	const numPeers = 300
	dsl := Peer{Class: "dsl", Link: Link{Up: 50 * kB, Down: 187 * kB}}
	before, most, at := inUse(), uint64(0), time.Duration(0)
	mustComplete(t, Swarm{
		Seed:        1,
		Geometry:    geometry(t, 8*MiB, 64*KiB),
		Peers:       append(Repeat(numPeers, dsl), Peer{Class: "seed", Link: Link{Up: 750 * kB}, Seed: true}),
		SampleEvery: 30 * time.Second,
		OnSample: func(s *Sample) {
			if now := inUse() - before; now > most {
				most, at = now, s.At
			}
		},
	})
	perPeer := most / numPeers
	t.Logf("%d bytes per peer at %v", perPeer, at)
	if perPeer > maxBytesPeer {
		t.Errorf("a peer needs %d bytes, want at most %d", perPeer, maxBytesPeer)
	}
}

// inUse is the memory of all that is reachable.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
