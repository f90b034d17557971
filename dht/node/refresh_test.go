package node

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// Nodes under ids next to ours make deep buckets, and those are not refreshed.
func TestDeepBucketsAreNotRefreshed(t *testing.T) {
	n := newNode(t, Config{})
	near := randomNear(n.id, idBits-1, n.cfg.Rand)
	n.table4.answered(0, krpc.Node{ID: near, Addr: publicAddr(1, false)}, time.Second)
	for at := range maxRefreshed {
		n.table4.buckets[at].changed = goodFor
	}
	if at, ok := n.table4.stale(goodFor); ok {
		t.Errorf("bucket %d is to be refreshed", at)
	}
	n.filling = maxRefreshed
	n.lookupEnded(goodFor, &lookup{n: n, id: joinLookup})
	if len(n.lookups) != 0 || n.filling != maxRefreshed {
		t.Errorf("bucket %d is filled", n.filling-1)
	}
}
