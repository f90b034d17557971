package engine

import (
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// check holds the engine's counts against what they count. It is called after
// every input of the random runs, so that a count that drifts is found at the
// step that made it.
func check(t testing.TB, e *Engine) {
	t.Helper()
	checkPicker(t, e)
	checkPartials(t, e)
	checkConns(t, e)
	checkMetadata(t, e)
	checkBook(t, e)
}

func checkPicker(t testing.TB, e *Engine) {
	t.Helper()
	if e.picker == nil {
		return
	}
	p := e.picker
	missing, left, seeds := 0, int64(0), 0
	copies := make([]int, e.geo.NumPieces())
	for _, c := range e.conns {
		if c.seed {
			seeds++
		} else if c.knowsHas() {
			for piece := range c.has.Members() {
				copies[piece]++
			}
		}
	}
	if p.seeds != seeds {
		t.Fatalf("picker counts %d seeds, there are %d", p.seeds, seeds)
	}
	inFlight := bitfield.New(e.geo.NumPieces())
	for _, part := range e.partials {
		inFlight.Add(part.piece)
	}
	webSeeds := 0
	for _, c := range e.conns {
		if c.webSeed {
			webSeeds++
		}
	}
	if e.webSeeds.count != webSeeds || webSeeds > maxWebSeeds {
		t.Fatalf("the engine counts %d web seeds, there are %d", e.webSeeds.count, webSeeds)
	}
	late := make([]int, e.geo.NumPieces())
	for _, change := range p.late {
		if change >= 0 {
			late[change]++
		} else {
			late[^change]--
		}
	}
	for piece, n := range copies {
		if int(p.copies[piece])+late[piece] != n {
			t.Fatalf("picker counts %d copies of piece %d and %d late, there are %d", p.copies[piece], piece, late[piece], n)
		}
		if (e.want.Has(piece) && !e.have.Has(piece)) != e.wants(piece) {
			t.Fatalf("piece %d is missing: %v", piece, e.wants(piece))
		}
		if e.wants(piece) {
			missing++
			left += int64(e.geo.PieceLen(piece))
		}
		pickable := e.wants(piece) && !inFlight.Has(piece)
		if p.open.Has(piece) != pickable {
			t.Fatalf("piece %d can be picked: %v, want %v", piece, p.open.Has(piece), pickable)
		}
		bucket := 0
		if pickable {
			bucket = int(p.copies[piece]) + 1
		}
		at := p.place[piece]
		if int(p.order[at]) != piece || at < p.edges[bucket] || at >= p.edges[bucket+1] {
			t.Fatalf("piece %d stands at %d, outside of its bucket %d", piece, at, bucket)
		}
	}
	if e.missing.Count() != missing || e.left != left {
		t.Fatalf("missing %d pieces, %d bytes; want %d, %d", e.missing.Count(), e.left, missing, left)
	}
}

func checkPartials(t testing.TB, e *Engine) {
	t.Helper()
	type key struct {
		p     *partial
		block int32
	}
	asked := make(map[key]int)
	users, pending := make(map[*partial]int), make(map[*partial]int)
	for _, c := range e.conns {
		if c.own != nil {
			users[c.own]++
		}
		for _, r := range c.pending {
			if !r.given {
				asked[key{r.p, r.block}]++
			}
			pending[r.p]++
			if r.p.gone {
				t.Fatalf("a request for piece %d, which is gone", r.p.piece)
			}
		}
	}
	buffered := 0
	for _, p := range e.partials {
		free, arrived := 0, 0
		for i, b := range p.blocks {
			if n := asked[key{p, int32(i)}]; int(b.requests) != n {
				t.Fatalf("block %d of piece %d counts %d requests, there are %d", i, p.piece, b.requests, n)
			}
			switch {
			case b.arrived:
				arrived++
			case b.requests == 0:
				free++
				if i < p.hint {
					t.Fatalf("block %d of piece %d is free before the hint %d", i, p.piece, p.hint)
				}
			}
		}
		if p.free != free || p.arrived != arrived || p.users != users[p] || p.pending != pending[p] {
			t.Fatalf("piece %d counts %d free, %d arrived, %d users, %d requests; want %d, %d, %d, %d",
				p.piece, p.free, p.arrived, p.users, p.pending, free, arrived, users[p], pending[p])
		}
		if here := e.arrivedResident(p); here < 0 || !p.spilled && here != p.arrivedBytes(e) {
			t.Fatalf("piece %d holds %d bytes that are here, want %d", p.piece, here, p.arrivedBytes(e))
		}
		buffered += p.resident
	}
	if e.buffered != buffered {
		t.Fatalf("%d bytes buffered, the pieces hold %d", e.buffered, buffered)
	}
}

func (p *partial) arrivedBytes(e *Engine) int {
	n := 0
	for i, b := range p.blocks {
		if b.arrived {
			n += e.geo.BlockLen(p.piece, i)
		}
	}
	return n
}

func checkConns(t testing.TB, e *Engine) {
	t.Helper()
	for _, c := range e.conns {
		if !c.live {
			t.Fatalf("connection %v is not live", c.Owner)
		}
		if c.knowsHas() && !c.closing && c.wanted != e.countWanted(c) {
			t.Fatalf("connection %v counts %d wanted pieces, want %d", c.Owner, c.wanted, e.countWanted(c))
		}
		if c.knowsHas() && !c.closing && c.interested != (c.wanted > 0) {
			t.Fatalf("connection %v: interested is %v with %d wanted pieces", c.Owner, c.interested, c.wanted)
		}
		if c.counts() && c.wanted > 0 && c.mayAsk() && !e.unfilled {
			t.Fatalf("connection %v may be asked for more, and the engine does not know", c.Owner)
		}
		if c.queue.len() > maxQueued || c.seldom != nil && len(c.seldom.suggested) > maxSuggested || len(c.allowed()) > maxSuggested {
			t.Fatalf("connection %v passed a bound", c.Owner)
		}
		inBacklog := false
		for _, b := range e.backlog {
			inBacklog = inBacklog || b == c
		}
		if c.inBacklog != inBacklog || inBacklog && c.queue.len() == 0 {
			t.Fatalf("connection %v: in the backlog %v, marked %v, %d queued", c.Owner, inBacklog, c.inBacklog, c.queue.len())
		}
	}
}

func checkMetadata(t testing.TB, e *Engine) {
	t.Helper()
	asked := make(map[*metadataPiece]int)
	for _, c := range e.conns {
		p := c.metadata
		if p == nil {
			continue
		}
		if len(p.asked) > maxMetadataAsked || len(p.wanted) > maxMetadataQueued || p.size > maxMetadataLen {
			t.Fatalf("connection %v passed a bound of the metadata", c.Owner)
		}
		if waits := slices.Contains(e.askers, c); waits != (len(p.wanted) > 0 && !c.closing) {
			t.Fatalf("connection %v among the askers: %v, with %d wanted", c.Owner, waits, len(p.wanted))
		}
		for _, r := range p.asked {
			if !r.given {
				asked[&r.of.pieces[r.piece]]++
			}
		}
	}
	if !e.lacksMetadata() && (len(e.fetch.copies) > 0 || e.fetch.at > 0) {
		t.Fatalf("the metadata is known and fetched all the same")
	}
	held := 0
	for _, m := range e.fetch.copies {
		n := 0
		for i := range m.pieces {
			n += len(m.pieces[i].data)
			if m.pieces[i].requests != asked[&m.pieces[i]] {
				t.Fatalf("metadata piece %d counts %d requests, there are %d", i, m.pieces[i].requests, asked[&m.pieces[i]])
			}
		}
		if m.dropped || m.held != n || len(m.pieces) > m.numPieces() {
			t.Fatalf("a copy of %d bytes counts %d that are here, want %d; dropped: %v", m.size, m.held, n, m.dropped)
		}
		held += n
	}
	if e.fetch.held != held || held > maxMetadataLen || len(e.fetch.copies) > len(e.conns)+1 {
		t.Fatalf("%d bytes of metadata in %d copies, the engine counts %d", held, len(e.fetch.copies), e.fetch.held)
	}
}

func checkBook(t testing.TB, e *Engine) {
	t.Helper()
	numOf := [len(e.book.numOf)]int{}
	dialing := 0
	for _, k := range e.book.entries {
		numOf[k.source]++
		if k.state == knownDialing {
			dialing++
		}
	}
	if numOf != e.book.numOf || dialing != e.book.dialing || len(e.book.tags) != len(e.book.entries) {
		t.Fatalf("the book counts %v and %d dials, want %v and %d", e.book.numOf, e.book.dialing, numOf, dialing)
	}
	if len(e.contacts.lost) > maxLostContacts {
		t.Fatalf("%d lost contacts are kept", len(e.contacts.lost))
	}
}
