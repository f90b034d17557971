package sim

import (
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

func TestTheWireChangesNothing(t *testing.T) {
	s := faulty(t)
	s.Configure = func(_ int, cfg *engine.Config) { cfg.NoPEX = false } // messages with payloads, too
	without := mustComplete(t, s)
	s.Wire = true
	with := mustComplete(t, s)
	if with.Hash != without.Hash || !slices.Equal(with.Peers, without.Peers) {
		t.Errorf("hash %x over the wire, %x without", with.Hash, without.Hash)
	}
	workers := pool.New(3)
	defer workers.Close()
	s.Pool = workers
	if again := mustComplete(t, s); again.Hash != without.Hash {
		t.Error("several workers change something")
	}
}

func TestTheWireFindsMistakes(t *testing.T) {
	s := pair(t)
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a message that nobody could read was taken")
		}
	}()
	w.peers[0].overWire(&wire.Message{Type: wire.Extended, Payload: make([]byte, wire.MaxExtendedLen+1)})
}
