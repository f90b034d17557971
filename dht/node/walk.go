package node

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// walk is a lookup in one address family: ever closer to the target, asking
// the closest first.
type walk struct {
	n      *Node
	lookup *lookup
	is6    bool

	candidates []candidate // by distance to the target
	seeds      []netip.AddrPort
	parts      []question // what widen wants to know
	running    int        // queries that have not expired
	unanswered int        // queries that have, too
	sent       int
	unfit      int          // candidates whose ids do not fit their addresses
	asked      [numSets]int // queries, by the set whose turn it was
	converged  bool
	storing    bool
	done       bool
}

// candidate is a node that a walk heard of.
type candidate struct {
	krpc.Node
	token    []byte
	tries    uint8
	running  uint8 // queries that have not expired
	late     bool  // a query has expired
	answered bool
	bad      bool // it is somebody else than was said, or refuses
	eligible bool // counts for the stop rule and may store (BEP 42)
	sets     sets // that know it
	seq      int64
	hasSeq   bool
}

// silent reports whether the candidate was asked in vain, so far; it may be
// asked once more by now.
func (c *candidate) silent() bool { return c.late && !c.answered }

// start asks the closest nodes of the table, or if there are none whoever is
// known by address alone.
func (w *walk) start(now time.Duration, seeds []netip.AddrPort) {
	var found [maxClosest]krpc.Node
	for i, node := range w.n.table(w.is6).closest(found[:0], &w.lookup.req.Target, maxClosest) {
		w.hear(node, 1<<(i%numSets))
	}
	if len(w.candidates) < numClosest {
		w.seeds = seeds
		w.hearSaved()
	}
	w.step(now)
}

// hear takes up a candidate of the sets, unless it is too far or one of too many
// in its network or of those that do not fit their addresses.
func (w *walk) hear(node krpc.Node, sets sets) {
	at, known := slices.BinarySearchFunc(w.candidates, node.ID, func(c candidate, id krpc.ID) int {
		return compareDistance(&w.lookup.req.Target, &c.ID, &id)
	})
	if known {
		if c := &w.candidates[at]; c.Addr == node.Addr {
			c.sets |= sets
		}
		return
	}
	if node.ID == w.n.id || at >= maxCandidates || w.crowded(node.Addr) {
		return
	}
	fits := fitsAddress(&node.ID, node.Addr.Addr())
	if fits {
		sets |= fitting
	}
	if !fits && w.unfit >= maxUnfit && !w.dropFarthest(at, 0) || len(w.candidates) >= maxCandidates && !w.dropFarthest(at, fitting) {
		return
	}
	if !fits {
		w.unfit++
	}
	w.candidates = slices.Insert(w.candidates, at, candidate{Node: node, eligible: fits || !w.n.cfg.EnforceIDs, sets: sets})
}

// dropFarthest makes room at the end of the candidates for one at the place at:
// it drops the farthest that is not being asked, of those that do not fit their
// addresses, and of those that do as well if also is fitting.
func (w *walk) dropFarthest(at int, also sets) bool {
	for i := len(w.candidates) - 1; i >= at; i-- {
		c := &w.candidates[i]
		if c.sets&fitting&^also != 0 || c.running > 0 {
			continue
		}
		if c.sets&fitting == 0 {
			w.unfit--
		}
		w.candidates = slices.Delete(w.candidates, i, i+1)
		return true
	}
	return false
}

// crowded reports whether there are enough candidates with the address or of
// its network already. One address may be named under two ids: if the first
// were the only one believed, a lie about it could keep a node out.
func (w *walk) crowded(addr netip.AddrPort) bool {
	sameAddr, sameNetwork := 0, 0
	prefix, isLocal := network(addr.Addr()), local(addr.Addr())
	for i := range w.candidates {
		other := w.candidates[i].Addr
		if other == addr {
			sameAddr++
		}
		if !isLocal && prefix.Contains(other.Addr()) {
			sameNetwork++
		}
	}
	return sameAddr >= 2 || sameNetwork >= maxPerNetwork
}

// step sends what may be sent and ends what is at its end.
func (w *walk) step(now time.Duration) {
	if w.storing || w.done {
		w.finishStoring(now)
		return
	}
	w.send(now)
	if !w.converged && (w.closestAnswered() || w.running == 0 && w.atEnd()) {
		w.converge(now)
		w.send(now)
	}
	if w.converged && w.running == 0 && !w.waits() {
		w.store(now)
	}
}

// send asks whom it may.
func (w *walk) send(now time.Duration) {
	for w.maySend() && len(w.parts) > 0 && !w.n.starves(now) {
		w.askPart(now, w.parts[0])
		w.parts = w.parts[1:]
	}
	if len(w.seeds) > 0 && len(w.closest(func(*candidate) bool { return true })) == 0 {
		w.askSeeds(now) // the candidates may all be of long ago
	}
	for w.maySend() {
		c := w.next()
		if c == nil || w.n.starves(now) {
			break
		}
		w.query(now, c.Addr, c, w.message(now, c.Addr))
	}
	w.askSeeds(now)
}

// waits reports whether something is to be asked once it may be. A second
// query to a silent node is not worth waiting for.
func (w *walk) waits() bool {
	if w.sent >= maxQueries {
		return false
	}
	c := w.next()
	return len(w.parts) > 0 || c != nil && (c.tries == 0 || w.maySend())
}

// askSeeds asks nodes that are known by address alone.
func (w *walk) askSeeds(now time.Duration) {
	for w.maySend() && w.running < alpha && len(w.seeds) > 0 && !w.n.starves(now) {
		addr := w.seeds[0]
		w.seeds = w.seeds[1:]
		w.query(now, addr, nil, w.message(now, addr))
	}
}

func (w *walk) maySend() bool {
	return w.unanswered < maxUnanswered && w.sent < maxQueries
}

// next returns whom to ask: the closest that was not asked, while less than
// alpha queries to closer ones run or less than a set's share of them in its
// set; and when the walk has converged or got stuck, the closest that is silent,
// once more. Those that are not eligible come last of all: ids close to the
// target are easily invented where they need not fit an address. Nobody is asked
// who is farther than the eight closest that answered and the closest of his
// sets.
func (w *walk) next() *candidate {
	var answered, running tally
	var silent, ineligible *candidate
	for i := range w.candidates {
		c := &w.candidates[i]
		switch {
		case c.bad || !answered.open(c.sets):
		case c.answered:
			answered.add(c)
		case c.running > 0:
			running.add(c)
		case c.tries == 0 && c.eligible:
			if running.all < alpha || c.sets&^running.reached(alpha/numSets) != 0 {
				return c
			}
		case c.tries == 0 && ineligible == nil:
			ineligible = c
		case c.silent() && c.tries < maxTries && silent == nil:
			silent = c
		}
	}
	switch {
	case ineligible != nil && silent == nil && !w.converged && w.running < alphaIneligible:
		return ineligible
	case w.running > 0 && !w.converged || w.running >= alpha:
		return nil
	}
	return silent
}

// closestAnswered is the stop rule: the eight closest candidates have answered,
// and the closest of each set. Silent ones do not hold it up; their retries go
// on behind it. BEP 42: "Non-compliant nodes also must not be considered to have
// sent a valid response when checking the termination condition of a lookup."
func (w *walk) closestAnswered() bool {
	var answered tally
	for i := range w.candidates {
		c := &w.candidates[i]
		switch {
		case c.bad || c.silent() || !c.eligible:
		case c.answered:
			answered.add(c)
		case answered.open(c.sets):
			return false
		}
		if !answered.open(allSets) {
			return true
		}
	}
	return answered.all >= numClosest // whom the other sets know, they have heard
}

// atEnd reports whether there is nobody left to ask for the first time, or so
// many are silent that nobody may be asked for now.
func (w *walk) atEnd() bool {
	c := w.next()
	return !w.maySend() || len(w.seeds) == 0 && (c == nil || c.tries > 0)
}

func (w *walk) converge(now time.Duration) {
	w.converged = true
	w.lookup.walkConverged(now)
	w.widen()
}

// widen looks for nodes behind silent ones. Whoever knows the neighbourhood of
// the target tells the eight closest there, silent ones included; for each of
// those, a living one that belongs to the closest eight may not have been
// named. That can only be in the parts of the neighbourhood between the eighth
// of all and the eighth that answered, so nodes there are asked for each part
// alone.
func (w *walk) widen() {
	answered := w.closest(func(c *candidate) bool { return c.eligible })
	if len(answered) < numClosest {
		return
	}
	target := &w.lookup.req.Target
	for at := sharedBits(target, &answered[numClosest-1].ID); at <= w.depthOfEighth(); at++ {
		part := flipped(*target, at)
		slices.SortFunc(answered, func(x, y *candidate) int { return compareDistance(&part, &x.ID, &y.ID) })
		for _, c := range answered[:numWiden] {
			w.parts = append(w.parts, question{c.ID, part})
		}
	}
}

// depthOfEighth returns how many bits the eighth candidate, which may be
// silent, shares with the target; -1 if the eighth has answered and so have all
// before it.
func (w *walk) depthOfEighth() int {
	count, silent := 0, false
	for i := range w.candidates {
		c := &w.candidates[i]
		if c.bad || !c.eligible {
			continue
		}
		silent = silent || c.silent()
		if count++; count == numClosest {
			if !silent {
				break
			}
			return sharedBits(&w.lookup.req.Target, &c.ID)
		}
	}
	return -1
}

// question is a find_node query that a node is to be sent.
type question struct{ asked, target krpc.ID }

func (w *walk) askPart(now time.Duration, q question) {
	if c := w.find(&q.asked); c != nil {
		w.query(now, c.Addr, c, krpc.Message{Method: krpc.FindNode, Target: q.target, Want: w.n.want()})
	}
}

// message is what the lookup asks of the node at to.
func (w *walk) message(now time.Duration, to netip.AddrPort) krpc.Message {
	req := &w.lookup.req
	return krpc.Message{
		Method: w.n.methodFor(now, to, req.Method), Target: req.Target, Scrape: req.Scrape, NoSeed: req.NoSeed,
		HasSeq: req.HasSeq, Seq: req.Seq, Want: w.n.want(),
	}
}

// query asks c, or the unknown node at addr if c is nil.
func (w *walk) query(now time.Duration, addr netip.AddrPort, c *candidate, msg krpc.Message) {
	q := &query{to: addr, walk: w, set: w.turn(startSets)}
	if c != nil {
		q.set = w.turn(c.sets)
		q.id, q.hasID = c.ID, true
		q.again = c.tries > 0
		c.tries++
		c.running++
	}
	w.running++
	w.unanswered++
	w.sent++
	w.asked[q.set]++
	w.n.ask(now, q, &msg)
}

func (w *walk) find(id *krpc.ID) *candidate {
	at, ok := slices.BinarySearchFunc(w.candidates, id, func(c candidate, id *krpc.ID) int {
		return compareDistance(&w.lookup.req.Target, &c.ID, id)
	})
	if !ok {
		return nil
	}
	return &w.candidates[at]
}

// stopped takes a query out of the running ones, and returns the candidate that
// it was sent to, if that is still one.
func (w *walk) stopped(q *query) *candidate {
	w.running--
	c := w.find(&q.id)
	if !q.hasID || q.store || c == nil {
		return nil
	}
	c.running--
	return c
}

// expired frees the slot of a query. Its answer still counts.
func (w *walk) expired(now time.Duration, q *query) {
	if c := w.stopped(q); c != nil {
		c.late = true
	}
	w.step(now)
}

func (w *walk) forgotten(now time.Duration) {
	w.unanswered--
	w.step(now)
}

// ended takes a query out of all counts, because it was answered.
func (w *walk) ended(q *query) {
	if !q.expired {
		w.stopped(q)
	}
	w.unanswered--
}

// refused handles an error that answers a query.
func (w *walk) refused(now time.Duration, q *query) {
	w.ended(q)
	if q.store {
		w.lookup.refused++
	} else if c := w.find(&q.id); q.hasID && c != nil {
		c.bad = !c.answered
	}
	w.step(now)
}

// answered handles a response of the node that was asked.
func (w *walk) answered(now time.Duration, q *query, m *krpc.Message) {
	w.ended(q)
	if q.store {
		w.lookup.stored++
		w.step(now)
		return
	}
	if w.done {
		return
	}
	if !q.hasID && m.ID != w.n.id {
		w.hear(krpc.Node{ID: m.ID, Addr: q.to}, 1<<q.set)
	}
	if c := w.find(&m.ID); c != nil && c.Addr == q.to && !c.answered {
		c.answered, c.tries = true, max(c.tries, 1)
		c.token = slices.Clone(m.Token)
		c.seq, c.hasSeq = m.Seq, m.HasSeq
		w.lookup.heard(q.to, m)
	}
	for node := range believed(q.to, m) {
		w.lookup.hear(node, 1<<q.set)
	}
	w.step(now)
}

// imposter handles a response from somebody else than was asked.
func (w *walk) imposter(now time.Duration, q *query) {
	w.ended(q)
	if c := w.find(&q.id); q.hasID && !q.store && c != nil {
		c.bad = !c.answered
	}
	w.step(now)
}

// closest returns up to eight candidates that answered, the closest first.
func (w *walk) closest(accept func(*candidate) bool) []*candidate {
	var closest []*candidate
	for i := range w.candidates {
		if c := &w.candidates[i]; c.answered && accept(c) && len(closest) < numClosest {
			closest = append(closest, c)
		}
	}
	return closest
}

// holders returns whom to ask to store: the closest eight that answered, and the
// closest of each set, which are among them unless somebody invents nodes. BEP
// 33: "only announce to the K nodes which are the the closest to the target *and*
// have returned a token".
func (w *walk) holders() []*candidate {
	accept := func(c *candidate) bool { return c.eligible && len(c.token) > 0 }
	closest := w.closest(accept)
	var chosen tally
	for i := range w.candidates {
		c := &w.candidates[i]
		if !c.answered || !accept(c) || c.sets&^chosen.reached(holdersOfSet) == 0 {
			continue
		}
		chosen.add(c)
		if !slices.Contains(closest, c) {
			closest = append(closest, c)
		}
	}
	return closest
}

// store makes the closest nodes that answered store what the lookup is for.
func (w *walk) store(now time.Duration) {
	w.storing = true
	if w.lookup.req.Store {
		for _, c := range w.holders() {
			w.running++
			w.unanswered++
			msg := w.lookup.storeQuery(c)
			w.n.ask(now, &query{to: c.Addr, id: c.ID, hasID: true, store: true, walk: w}, &msg)
		}
	}
	w.finishStoring(now)
}

// finishStoring ends the walk when no announce can be answered in time.
func (w *walk) finishStoring(now time.Duration) {
	if w.running == 0 && !w.done {
		w.done = true
		w.lookup.walkDone(now)
	}
}
