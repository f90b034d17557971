package sim

import (
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

const (
	kB  = 1000
	KiB = 1 << 10
	MiB = 1 << 20
)

func geometry(t testing.TB, totalLen, pieceLen int64) metainfo.Geometry {
	t.Helper()
	g, err := metainfo.NewGeometry(totalLen, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t testing.TB, s Swarm) *Result {
	t.Helper()
	r, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustComplete(t testing.TB, s Swarm) *Result {
	t.Helper()
	r := run(t, s)
	if !r.Completed {
		t.Fatalf("seed %d: the run ended at %v because: %s", s.Seed, r.End, r.Reason)
	}
	return r
}

// barSwarm is one seed and twelve downloaders that could finish in 16 s.
func barSwarm(t testing.TB) Swarm {
	link := Link{Up: 4 * MiB}
	return Swarm{
		Seed:     1,
		Geometry: geometry(t, 64*MiB, 256*KiB),
		Latency:  time.Millisecond,
		Peers:    append([]Peer{{Class: "seed", Link: link, Seed: true}}, Repeat(12, Peer{Class: "leecher", Link: link})...),
	}
}

func TestTwelveDownloadersNearTheBound(t *testing.T) {
	r := mustComplete(t, barSwarm(t))
	ratio := r.LastCompletion().Seconds() / 16
	t.Logf("last completion %v: %.3f x the bound; %d events", r.LastCompletion(), ratio, r.Events)
	if ratio < 1 || ratio > 1.5 {
		t.Errorf("ratio to the bound %.3f, want 1 to 1.5", ratio)
	}
}

var _ = runtime.GOMAXPROCS
