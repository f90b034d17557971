package dhtnet

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// numClosest is how many nodes a lookup is after (BEP 5's K).
const numClosest = 8

// Never is a duration of what did not happen.
const Never time.Duration = -1

// Search is a lookup that is measured from the outside: by the packets and
// the outputs of its host, against the closest nodes that serve. Its durations
// count from its start.
type Search struct {
	Host    *Host
	Request node.Request
	Began   time.Duration

	First     time.Duration // until the first response with peers, or Never
	Converged time.Duration // or Never
	Done      time.Duration // or Never

	Peers   []netip.AddrPort // that were found, each once
	Queries int
	Stored  int // nodes that confirmed the announce

	// Of the true closest nodes when it was done.
	Closest  int // how many there were: eight, or all
	Learned  int // of them, those that somebody named to the searcher
	Answered int // of them, those that are in the result

	id     node.LookupID
	named  map[krpc.ID]bool
	onDone func(*Search)
}

// Search starts a lookup at h, now, and calls done at its end if that is not
// nil. Of lookups of one target at one host only one may run at a time.
func (h *Host) Search(req node.Request, done func(*Search)) *Search {
	h.lastID++
	s := &Search{
		Host: h, Request: req, Began: h.net.kernel.Now(), First: Never, Converged: Never, Done: Never,
		id: h.lastID, named: map[krpc.ID]bool{}, onDone: done,
	}
	h.searches = append(h.searches, s)
	h.Receive(node.Input{Kind: node.InLookup, Lookup: s.id, Request: &req})
	return s
}

func (s *Search) since() time.Duration { return s.Host.net.kernel.Now() - s.Began }

// sent notes whom the host asks: it has learned of them.
func (s *Search) sent(to netip.AddrPort) {
	if h := s.Host.net.HostAt(to); h != nil && h.Node() != nil {
		s.named[h.Node().ID()] = true
	}
}

// arrived notes whom a response names. That a few responses to the upkeep of
// the table are among them makes no difference: they are about elsewhere.
func (s *Search) arrived(p packet) {
	var m krpc.Message
	if m.Parse(p.bytes) == nil && m.Kind == krpc.Response {
		for named := range m.AllNodes() {
			s.named[named.ID] = true
		}
	}
}

func (s *Search) heard(out node.Output) {
	switch out.Kind {
	case node.OutReply:
		for _, peer := range out.Reply.Peers {
			if !slices.Contains(s.Peers, peer) {
				s.Peers = append(s.Peers, peer)
			}
		}
		if s.First == Never && len(s.Peers) > 0 {
			s.First = s.since()
		}
	case node.OutConverged:
		s.Converged = s.since()
	case node.OutDone:
		s.done(out.Result)
	}
}

func (s *Search) done(result *node.Result) {
	s.Done, s.Queries, s.Stored = s.since(), result.Queries, result.Stored
	for _, id := range s.Host.net.Closest(s.Request.Target, s.Host) {
		s.Closest++
		if s.named[id] {
			s.Learned++
		}
		if slices.ContainsFunc(result.Closest, func(n krpc.Node) bool { return n.ID == id }) {
			s.Answered++
		}
	}
	s.named = nil
	s.Host.searches = slices.DeleteFunc(s.Host.searches, func(other *Search) bool { return other == s })
	if s.onDone != nil {
		s.onDone(s)
	}
}

// Closest returns the ids of the eight honest nodes that serve, but for one
// host, and are closest to target, the closest first.
func (n *Network) Closest(target krpc.ID, but *Host) (ids []krpc.ID) {
	for _, h := range closestOf(n.hosts, target, func(h *Host) bool { return h != but && h.Serves() && h.Honest() }) {
		ids = append(ids, h.Node().ID())
	}
	return ids
}

// closestOf returns the eight of the hosts that count and are closest to
// target, the closest first.
func closestOf(hosts []*Host, target krpc.ID, counts func(*Host) bool) []*Host {
	var closest [numClosest + 1]*Host
	var ids [numClosest + 1]krpc.ID
	found := 0
	for _, h := range hosts {
		if !counts(h) {
			continue
		}
		id := h.Node().ID()
		at := found
		for ; at > 0 && closer(&target, &id, &ids[at-1]); at-- {
			closest[at], ids[at] = closest[at-1], ids[at-1]
		}
		closest[at], ids[at] = h, id
		found = min(found+1, numClosest)
	}
	return slices.Clone(closest[:found])
}

// closer reports whether x is closer to target than y (BEP 5's XOR metric).
func closer(target, x, y *krpc.ID) bool {
	for i := range target {
		if x[i] != y[i] {
			return x[i]^target[i] < y[i]^target[i]
		}
	}
	return false
}

// sharedBits returns how many leading bits x and y have in common.
func sharedBits(x, y *krpc.ID) int {
	for i := range x {
		if differ := x[i] ^ y[i]; differ != 0 {
			return 8*i + bits.LeadingZeros8(differ)
		}
	}
	return 8 * len(x)
}
