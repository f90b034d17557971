package node

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

func filterOf(first, count int) (f krpc.Filter) {
	for i := range count {
		f.Insert(publicAddr(first+i, false).Addr())
	}
	return f
}

func peersOf(first, count int) (peers []netip.AddrPort) {
	for i := range count {
		peers = append(peers, publicAddr(first+i, false))
	}
	return peers
}

// Filters of several nodes are joined, an address that many know counts once,
// and a peer told by a node without BEP 33 counts unless it is a seed of
// another.
func TestScrapeMerges(t *testing.T) {
	var s scrape
	answer := func(seeds, leechers krpc.Filter) {
		s.add(&krpc.Message{BFsd: seeds[:], BFpe: leechers[:]}, nil)
	}
	answer(filterOf(0, 100), filterOf(1000, 200))
	answer(filterOf(50, 100), filterOf(1100, 200))
	s.add(&krpc.Message{}, peersOf(140, 20))  // ten of them are seeds
	s.add(&krpc.Message{}, peersOf(1290, 20)) // ten of them were counted
	s.add(&krpc.Message{BFsd: make([]byte, krpc.FilterLen)}, nil)
	seeds, leechers := s.result()
	if e := seeds.Estimate(); math.Abs(e-150) > 10 {
		t.Errorf("%.1f seeds, want about 150", e)
	}
	if e := leechers.Estimate(); math.Abs(e-320) > 20 {
		t.Errorf("%.1f others, want about 320", e)
	}
	again, _ := s.result()
	if *again != *seeds {
		t.Error("the result changes")
	}
}

// A filter of ones is not believed, and addresses are kept up to a bound.
func TestScrapeLies(t *testing.T) {
	var s scrape
	full := bytes.Repeat([]byte{0xff}, krpc.FilterLen)
	empty := make([]byte, krpc.FilterLen)
	s.add(&krpc.Message{BFsd: full, BFpe: empty}, nil)
	s.add(&krpc.Message{BFsd: empty, BFpe: full}, nil)
	if seeds, leechers := s.result(); seeds.Estimate() > 1 || leechers.Estimate() > 1 {
		t.Errorf("%f seeds, %f others", seeds.Estimate(), leechers.Estimate())
	}
	honest := filterOf(0, 6000)
	if s.add(&krpc.Message{BFsd: honest[:], BFpe: empty}, nil); s.seeds != honest {
		t.Error("a filter of the most that BEP 33 allows is not believed")
	}
	for i := range 100 {
		s.add(&krpc.Message{}, peersOf(200*i, 200))
	}
	if len(s.legacy) != maxLegacyPeers {
		t.Errorf("%d addresses kept", len(s.legacy))
	}
}

// sampledBy counts the queries of each method that a lookup for samples sends.
func sampledBy(w *world, h *host) map[krpc.Method]int {
	sent := map[krpc.Method]int{}
	w.trace = func(from, _ netip.AddrPort, packet []byte) {
		var m krpc.Message
		if from == h.addr && m.Parse(packet) == nil && m.Kind == krpc.Query {
			sent[m.Method]++
		}
	}
	w.do(h, Request{Method: krpc.SampleInfohashes, Target: idM})
	w.trace = nil
	return sent
}

// An indexer does not ask a node for a sample again before its interval has
// passed (BEP 51), yet finds its way by it.
func TestIntervals(t *testing.T) {
	w := newWorld(t, 12)
	w.populate(30, false)
	w.do(w.hosts[3], Request{Method: krpc.GetPeers, Target: idM, Store: true, Port: 1})
	indexer := w.hosts[7]
	first := sampledBy(w, indexer)
	reply := indexer.last(OutReply)
	if reply == nil || reply.Reply.Interval != sampleEvery || !slices.Equal(reply.Reply.Samples, []krpc.ID{idM}) {
		t.Fatalf("reply %+v", reply)
	}
	again := sampledBy(w, indexer)
	// Nodes with nothing in store say that they have no interval.
	if given := first[krpc.SampleInfohashes] - again[krpc.SampleInfohashes]; given < 5 || again[krpc.FindNode] < given {
		t.Errorf("first %v, then %v", first, again)
	}
	if r := indexer.last(OutReply); r != nil {
		t.Errorf("a sample before its time: %+v", r.Reply)
	}
	w.run(sampleEvery)
	sampledBy(w, indexer)
	if indexer.last(OutReply) == nil {
		t.Error("no sample after the interval")
	}
}

// Nobody fills the book of intervals who was not asked for a sample, or gave
// none.
func TestIntervalsAreOfSamples(t *testing.T) {
	for _, test := range []struct {
		asked    krpc.Method
		samples  []byte
		interval int64
		noted    int
	}{
		{krpc.SampleInfohashes, idM[:], 300, 1},
		{krpc.SampleInfohashes, []byte{}, 300, 1},
		{krpc.SampleInfohashes, nil, 300, 0},
		{krpc.SampleInfohashes, idM[:], 0, 0},
		{krpc.GetPeers, idM[:], 300, 0},
		{krpc.FindNode, idM[:], 300, 0},
	} {
		n, query := waitingNode(t, test.asked)
		answer := krpc.Message{Kind: krpc.Response, ID: idA, Transaction: query.Transaction, Samples: test.samples, Interval: test.interval}
		packet := answer.Append(nil)
		if test.samples == nil { // which Append does not write
			packet = bytes.Replace(packet, []byte("e1:t"), []byte("8:intervali300ee1:t"), 1)
		}
		n.Receive(time.Millisecond, Input{Kind: InPacket, Addr: publicAddr(1, false), Packet: packet})
		noted := 0
		if n.intervals != nil {
			noted = len(n.intervals.order)
		}
		if n.lastAnswer == 0 || noted != test.noted {
			t.Errorf("%+v: %d noted, answered at %v", test, noted, n.lastAnswer)
		}
	}
}

func TestIntervalsAreBounded(t *testing.T) {
	v := intervals{until: map[netip.AddrPort]time.Duration{}}
	for i := range 2*maxIntervals + 5 {
		v.note(0, publicAddr(i, false), time.Hour)
	}
	if len(v.until) != maxIntervals || len(v.order) != maxIntervals {
		t.Errorf("%d and %d nodes", len(v.until), len(v.order))
	}
	newest, oldest := publicAddr(2*maxIntervals+4, false), publicAddr(4, false)
	if !v.last(time.Hour-1, newest) || v.last(time.Hour, newest) || v.last(0, oldest) {
		t.Error("the wrong ones are remembered")
	}
}
