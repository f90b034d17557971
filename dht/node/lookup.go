package node

import (
	"crypto/ed25519"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// The ids of the lookups that the node does for its table. They have no
// outputs.
const (
	joinLookup LookupID = 1<<32 - 1 - iota // of our own id
	refreshLookup
)

// lookup is one walk in each address family.
type lookup struct {
	n               *Node
	id              LookupID
	req             Request
	began           time.Duration
	convergedAfter  time.Duration
	walks           []*walk
	scrape          *scrape // nil unless it counts peers
	stored, refused int
	refusal         *krpc.Refusal
	converged       bool
}

// own reports whether the lookup is for the table.
func (l *lookup) own() bool { return l.id >= refreshLookup }

// startLookup walks in every family that the node has. seeds are asked if the
// table of their family is empty.
func (n *Node) startLookup(now time.Duration, id LookupID, req Request, seeds []netip.AddrPort) *lookup {
	l := &lookup{n: n, id: id, req: req, began: now}
	if req.Scrape {
		l.scrape = new(scrape)
	}
	n.lookups = append(n.lookups, l)
	for _, is6 := range [...]bool{false, true} {
		if n.table(is6) != nil {
			l.walks = append(l.walks, &walk{n: n, lookup: l, is6: is6})
		}
	}
	for _, w := range l.walks {
		w.start(now, ofFamily(seeds, w.is6))
	}
	return l
}

func ofFamily(addrs []netip.AddrPort, is6 bool) []netip.AddrPort {
	var own []netip.AddrPort
	for _, addr := range addrs {
		if addr.Addr().Is6() == is6 {
			own = append(own, addr)
		}
	}
	return own
}

// cancel forgets a lookup: its queries may still be answered, for the table.
func (n *Node) cancel(l *lookup) {
	n.lookups = slices.DeleteFunc(n.lookups, func(other *lookup) bool { return other == l })
	for _, w := range l.walks {
		w.storing, w.done = true, true
	}
}

// hear takes up a node in the walk of its family. So the two families feed
// each other, and each keeps its own slots (BEP 32).
func (l *lookup) hear(node krpc.Node, sets sets) {
	for _, w := range l.walks {
		if w.is6 == node.Addr.Addr().Is6() && !w.storing {
			w.hear(node, sets)
		}
	}
}

// heard says what a node answered, if that is worth anything.
func (l *lookup) heard(from netip.AddrPort, m *krpc.Message) {
	reply := &Reply{Item: l.item(m), NumSamples: m.Num, Interval: time.Duration(m.Interval) * time.Second, Peers: l.peers(from, m)}
	if l.scrape != nil {
		l.scrape.add(m, reply.Peers)
	}
	if l.req.Method == krpc.SampleInfohashes {
		for s := m.Samples; len(s) > 0; s = s[20:] {
			reply.Samples = append(reply.Samples, krpc.ID(s[:20]))
		}
	}
	useful := reply.Item != nil || len(reply.Peers) > 0 || len(reply.Samples) > 0
	if !l.own() && useful {
		l.n.out(Output{Kind: OutReply, Lookup: l.id, Addr: from, Reply: reply})
	}
}

func (l *lookup) peers(from netip.AddrPort, m *krpc.Message) (peers []netip.AddrPort) {
	if l.req.Method != krpc.GetPeers {
		return nil
	}
	for addr := range m.Values.All() {
		if mayTell(from, addr) && len(peers) < maxPeersTold {
			peers = append(peers, addr)
		}
	}
	return peers
}

// item returns the stored value of a response if it is what was looked up.
// BEP 44: "the key they get back from a get request MUST be verified to hash
// to the target ID the lookup was made for, as well as verifying the
// signature".
func (l *lookup) item(m *krpc.Message) *Item {
	if l.req.Method != krpc.Get || m.Value == nil {
		return nil
	}
	if krpc.ImmutableTarget(m.Value) == l.req.Target {
		return &Item{Value: slices.Clone(m.Value)}
	}
	var salt []byte
	if l.req.Item != nil {
		salt = l.req.Item.Salt
	}
	if m.Key == nil || m.Sig == nil || !m.HasSeq || krpc.MutableTarget(m.Key, salt) != l.req.Target || !signed(m.Key, salt, m.Sig, m.Seq, m.Value) {
		return nil
	}
	return &Item{Value: slices.Clone(m.Value), Key: slices.Clone(m.Key), Sig: slices.Clone(m.Sig), Seq: m.Seq}
}

func signed(key, salt, sig []byte, seq int64, value []byte) bool {
	var b [krpc.MaxValueLen + krpc.MaxSaltLen + 64]byte
	return ed25519.Verify(key, krpc.AppendSigned(b[:0], salt, seq, value), sig)
}

// refusedBy notes what a node said when it refused to store, if that is worse
// than what others said: the codes from 301 on are about the item.
func (l *lookup) refusedBy(m *krpc.Message) {
	if l.refusal == nil || m.Code > l.refusal.Code {
		l.refusal = &krpc.Refusal{Code: m.Code, Text: string(m.Text[:min(len(m.Text), maxRefusalText)])}
	}
}

// storeQuery returns what asks c to store what the lookup is for.
func (l *lookup) storeQuery(c *candidate) krpc.Message {
	if l.req.Method == krpc.GetPeers {
		return krpc.Message{Method: krpc.AnnouncePeer, Target: l.req.Target, Token: c.token,
			Port: l.req.Port, ImpliedPort: l.req.ImpliedPort, Seed: l.req.Seed}
	}
	item := l.req.Item
	m := krpc.Message{Method: krpc.Put, Token: c.token, Value: item.Value}
	if item.Key != nil {
		m.Key, m.Sig, m.Salt, m.Seq, m.HasSeq = item.Key, item.Sig, item.Salt, item.Seq, true
		// BEP 44: "When sending a put request to a node that did not return
		// any data for the get, the cas field SHOULD NOT be included."
		m.CAS, m.HasCAS = item.CAS, item.HasCAS && c.hasSeq
	}
	return m
}

func (l *lookup) walkConverged(now time.Duration) {
	for _, w := range l.walks {
		if !w.converged {
			return
		}
	}
	l.convergedAfter = now - l.began
	if !l.converged && !l.own() {
		l.n.out(Output{Kind: OutConverged, Lookup: l.id, Result: l.result()})
	}
	l.converged = true
	if l.id == joinLookup {
		l.n.becomeReady()
	}
}

func (l *lookup) walkDone(now time.Duration) {
	for _, w := range l.walks {
		if !w.done {
			return
		}
	}
	if !l.own() {
		l.n.out(Output{Kind: OutDone, Lookup: l.id, Result: l.result()})
	}
	l.n.cancel(l)
	l.n.lookupEnded(now, l)
}

func (l *lookup) result() *Result {
	r := &Result{Converged: l.convergedAfter, Stored: l.stored, Refused: l.refused, Refusal: l.refusal}
	r.Seeds, r.Leechers = l.scrape.result()
	for _, w := range l.walks {
		r.Queries += w.sent
		for _, c := range w.closest(func(*candidate) bool { return true }) {
			r.Closest = append(r.Closest, c.Node)
		}
	}
	return r
}
