package node

import (
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// The vectors of BEP 42.
func TestIDVectors(t *testing.T) {
	for ip, want := range map[string]string{
		"124.31.75.21": "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401",
		"21.75.31.124": "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256",
		"65.23.51.170": "a5d43220bc8f112a3d426c84764f8c2a1150e616",
		"84.124.73.14": "1b0321dd1bb1fe518101ceef99462b947a01ff41",
		"43.213.53.83": "e56f6cbf5b7c4be0237986d5243b87aa6d51305a",
	} {
		var id krpc.ID
		_, _ = hex.Decode(id[:], []byte(want))
		addr := netip.MustParseAddr(ip)
		if !fitsAddress(&id, addr) {
			t.Errorf("%s does not fit %s", want, ip)
		}
		for _, i := range []int{0, 1, 2, 19} { // bits that count: 2 has the last five of 21
			other := id
			if other[i] ^= 0x08; i == 19 {
				other[i] ^= 0x08 | 0x01
			}
			if fitsAddress(&other, addr) {
				t.Errorf("%s fits %s in spite of a change in byte %d", other, ip, i)
			}
		}
	}
}

func TestIDFor(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		for _, is6 := range [...]bool{false, true} {
			ip := publicAddr(i, is6).Addr()
			if id := idFor(ip, rnd); !fitsAddress(&id, ip) {
				t.Errorf("%s does not fit %s", id, ip)
			}
		}
	}
	id := randomID(rnd)
	for _, exempt := range []string{"10.1.1.1", "172.16.0.1", "192.168.0.1", "169.254.1.1", "127.0.0.1", "::1", "fe80::1", "fd00::1"} {
		if !fitsAddress(&id, netip.MustParseAddr(exempt)) {
			t.Errorf("%s is not exempt", exempt)
		}
	}
	for numBits := range idBits {
		if near := randomNear(id, numBits, rnd); sharedBits(&near, &id) != numBits {
			t.Fatalf("%d bits shared, want %d", sharedBits(&near, &id), numBits)
		}
	}
}

// A large network: the shape of the table, and its closest nodes against a
// sorted list.
func TestTableShape(t *testing.T) {
	for _, is6 := range [...]bool{false, true} {
		rnd := rand.New(rand.NewPCG(7, 7))
		table := table{own: randomID(rnd)}
		for i := range 10_000 {
			table.answered(0, krpc.Node{ID: randomID(rnd), Addr: publicAddr(i, is6)}, time.Second)
		}
		for at, want := range []int{128, 64, 32, 16, 16, 16, 16, 16, 16} {
			if got := len(table.buckets[at].nodes); got != want {
				t.Errorf("bucket %d has %d nodes, want %d", at, got, want)
			}
		}
		total := 0
		for at := range table.buckets {
			total += len(table.buckets[at].nodes)
		}
		if total != table.size || total < 280 {
			t.Errorf("%d nodes, size %d", total, table.size)
		}
		checkClosest(t, &table, rnd)
	}
}

func checkClosest(t *testing.T, table *table, rnd *rand.Rand) {
	t.Helper()
	var all []krpc.Node
	for at := range table.buckets {
		for i := range table.buckets[at].nodes {
			all = append(all, table.buckets[at].node(i))
		}
	}
	for i := range 100 {
		target := randomNear(table.own, i%20, rnd)
		slices.SortFunc(all, func(x, y krpc.Node) int { return compareDistance(&target, &x.ID, &y.ID) })
		if got := table.closest(nil, &target, 8); !slices.Equal(got, all[:8]) {
			t.Fatalf("closest to %s: %v, want %v", target, got, all[:8])
		}
	}
}

// crowd fills one cell far from own with eight nodes and returns an id that
// would be the ninth.
func crowd(table *table, rnd *rand.Rand, rtt time.Duration) (ids []krpc.ID, next krpc.ID) {
	far := randomNear(table.own, 0, rnd)
	for i := range cellSize {
		id := randomNear(far, 20+i, rnd)
		ids = append(ids, id)
		table.answered(0, krpc.Node{ID: id, Addr: publicAddr(i+1, false)}, rtt)
	}
	return ids, randomNear(far, 40, rnd)
}

func TestFullCell(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	here := func(table *table, id krpc.ID) bool {
		_, i := table.find(&id)
		return i >= 0
	}
	for _, test := range []struct {
		name    string
		rtt     time.Duration
		fit     bool
		prepare func(*table, []krpc.ID)
		enters  bool
	}{
		{"as quick", 100 * time.Millisecond, false, nil, false},
		{"a little quicker", 80 * time.Millisecond, false, nil, false},
		{"much quicker", 50 * time.Millisecond, false, nil, true},
		{"fits its address", 300 * time.Millisecond, true, nil, true},
		{"one has failed", 300 * time.Millisecond, false, func(t *table, ids []krpc.ID) {
			t.failed(krpc.Node{ID: ids[3], Addr: publicAddr(4, false)}, true)
		}, true},
		{"one was removed", 300 * time.Millisecond, false, func(t *table, ids []krpc.ID) {
			t.failed(krpc.Node{ID: ids[3], Addr: publicAddr(4, false)}, true)
			t.failed(krpc.Node{ID: ids[3], Addr: publicAddr(4, false)}, true)
		}, true},
	} {
		table := table{own: randomID(rnd)}
		ids, next := crowd(&table, rnd, 100*time.Millisecond)
		if test.prepare != nil {
			test.prepare(&table, ids)
		}
		addr := publicAddr(99, false)
		if test.fit {
			// Any id fits a local address.
			addr = netip.MustParseAddrPort("10.0.0.1:1")
		}
		if got := table.answered(0, krpc.Node{ID: next, Addr: addr}, test.rtt); got != test.enters || here(&table, next) != test.enters {
			t.Errorf("%s: entered %v, want %v", test.name, got, test.enters)
		}
		if table.size != cellSize {
			t.Errorf("%s: %d nodes", test.name, table.size)
		}
	}
}

func TestOneNodeOfANetwork(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	table4, table6 := table{own: randomID(rnd)}, table{own: randomID(rnd)}
	enter := func(addr string) bool {
		n := krpc.Node{ID: randomID(rnd), Addr: netip.MustParseAddrPort(addr)}
		table := &table4
		if n.Addr.Addr().Is6() {
			table = &table6
		}
		wanted := table.wants(n)
		entered := table.answered(0, n, time.Second)
		if wanted != entered {
			t.Errorf("%s: wanted %v, entered %v", addr, wanted, entered)
		}
		return entered
	}
	for _, test := range []struct {
		addr string
		want bool
	}{
		{"8.8.8.8:1", true}, {"8.8.8.9:1", false}, {"8.8.9.8:1", true},
		{"192.168.1.1:1", true}, {"192.168.1.1:2", true}, {"127.0.0.1:1", true}, {"127.0.0.1:2", true},
		{"[2a00:1:1:1::1]:1", true}, {"[2a00:1:1:1:2::1]:1", false}, {"[2a00:1:1:2::1]:1", true}, {"[fe80::1]:1", true}, {"[fe80::2]:1", true},
	} {
		if got := enter(test.addr); got != test.want {
			t.Errorf("%s: %v, want %v", test.addr, got, test.want)
		}
	}
}

// An id is not taken over by who copies it, and a node that changes its id
// leaves its old place.
func TestIDTheft(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	table := table{own: randomID(rnd)}
	victim := krpc.Node{ID: randomID(rnd), Addr: publicAddr(1, false)}
	table.answered(0, victim, time.Second)
	if table.answered(0, krpc.Node{ID: victim.ID, Addr: publicAddr(2, false)}, time.Millisecond) {
		t.Error("the thief got in")
	}
	table.failed(krpc.Node{ID: victim.ID, Addr: publicAddr(2, false)}, true)
	if got := table.closest(nil, &victim.ID, 1); !slices.Equal(got, []krpc.Node{victim}) {
		t.Errorf("the victim's place has %v", got)
	}
	moved := krpc.Node{ID: randomID(rnd), Addr: victim.Addr}
	table.answered(0, moved, time.Second)
	if got := table.closest(nil, &victim.ID, 8); !slices.Equal(got, []krpc.Node{moved}) {
		t.Errorf("after the change of id: %v", got)
	}
}

// Our own network going down empties no table; a node that fails while others
// answer goes, and is not told to others after its first failure.
func TestFailures(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	table := table{own: randomID(rnd)}
	n := krpc.Node{ID: randomID(rnd), Addr: publicAddr(1, false)}
	table.answered(0, n, time.Second)
	for range 10 {
		table.failed(n, false)
	}
	if table.size != 1 || len(table.closest(nil, &n.ID, 8)) != 0 {
		t.Error("a failing node was dropped while nobody answered, or is told to others")
	}
	table.answered(0, n, time.Second)
	if len(table.closest(nil, &n.ID, 8)) != 1 {
		t.Error("a node that answers again is not told to others")
	}
	table.failed(n, true)
	if table.failed(n, true); table.size != 0 {
		t.Error("a failing node stays")
	}
}

func TestSparesAndAge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	table := table{own: randomID(rnd)}
	ids, next := crowd(&table, rnd, 100*time.Millisecond)
	spare := krpc.Node{ID: next, Addr: publicAddr(50, false)}
	for i := range 10 * maxSpares {
		table.wants(krpc.Node{ID: next, Addr: publicAddr(60+i, false)})
	}
	if table.wants(spare) || len(table.buckets[0].spares) != maxSpares {
		t.Errorf("%d spares", len(table.buckets[0].spares))
	}
	if n, ok := table.takeSpare(); ok {
		t.Errorf("a full cell takes %v", n)
	}
	table.failed(krpc.Node{ID: ids[0], Addr: publicAddr(1, false)}, true)
	if n, ok := table.takeSpare(); !ok || n != spare {
		t.Errorf("spare %v, %v", n, ok)
	}
	if n, _, ok := table.questionable(goodFor); ok {
		t.Errorf("questionable at once: %v", n)
	}
	if _, _, ok := table.questionable(goodFor + 2*tickLen); !ok {
		t.Error("nobody is questionable after fifteen minutes")
	}
	if _, ok := table.stale(goodFor - 1); ok {
		t.Error("a bucket is stale too early")
	}
	if at, ok := table.stale(goodFor); !ok || at != 0 {
		t.Error("no bucket is stale after fifteen minutes")
	}
}

func TestRekey(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	table := table{own: randomID(rnd)}
	for i := range 3000 {
		table.answered(0, krpc.Node{ID: randomID(rnd), Addr: publicAddr(i, true)}, time.Second)
	}
	before := table.size
	table.rekey(0, randomID(rnd))
	if table.size < before/2 {
		t.Errorf("%d of %d nodes left", table.size, before)
	}
	checkClosest(t, &table, rnd)
}

// A byte more would cost 128: the allocator's next class.
func TestNodeSize(t *testing.T) {
	if size := unsafe.Sizeof(Node{}); size > 1024-8 {
		t.Errorf("a Node has %d bytes", size)
	}
}

func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 32 {
		t.Errorf("an entry has %d bytes", size)
	}
}
