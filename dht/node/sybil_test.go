package node

import (
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// sybil answers every query with nodes of its own kind, never with peers, and
// claims to be nearIt if that is set: next to what is looked up, where BEP 42
// does not let it be.
func (w *world) sybil(h *host, e event, nearIt bool) {
	var query krpc.Message
	if query.Parse(e.packet) != nil || query.Kind != krpc.Query {
		return
	}
	answer := krpc.Message{Kind: krpc.Response, Transaction: query.Transaction, ID: h.node.ID(), Token: []byte("sybil")}
	for i := 0; len(answer.Nodes) < numClosest*krpc.NodeLen4 && i < 100; i++ {
		if other := w.hosts[w.rnd.IntN(len(w.hosts))]; other.evil != nil {
			id := other.node.ID()
			if nearIt {
				id = randomNear(query.Target, 100, w.rnd)
			}
			answer.Nodes = krpc.AppendNode(answer.Nodes, krpc.Node{ID: id, Addr: other.addr})
		}
	}
	w.send(h.addr, e.from, answer.Append(nil))
}

// A fifth of the network answers with each other: peers are found all the
// same, and at the places where they were announced.
func TestSybils(t *testing.T) {
	for name, nearIt := range map[string]bool{"their own ids": false, "ids next to the target": true} {
		const numLookups = 40
		w := newWorld(t, 10)
		w.populate(150, false)
		for i, h := range w.hosts {
			if i%5 == 4 {
				h.evil = func(e event) { w.sybil(h, e, nearIt) }
			}
		}
		honest := func() *host {
			for {
				if h := w.alive(); h.evil == nil {
					return h
				}
			}
		}
		found, queries := 0, 0
		for range numLookups {
			target := randomID(w.rnd)
			announcer, searcher := honest(), honest()
			w.do(announcer, Request{Method: krpc.GetPeers, Target: target, Store: true, Port: 6881})
			queries += w.do(searcher, Request{Method: krpc.GetPeers, Target: target}).Result.Queries
			if slices.ContainsFunc(searcher.outs, func(out Output) bool {
				return out.Kind == OutReply && slices.Contains(out.Reply.Peers, announcer.addr)
			}) {
				found++
			}
		}
		t.Logf("20 %% sybils with %s: %d of %d lookups found the peer, %.1f queries", name, found, numLookups, float64(queries)/numLookups)
		if found < numLookups {
			t.Errorf("sybils with %s: %d of %d lookups found the peer", name, found, numLookups)
		}
	}
}
