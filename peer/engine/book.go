package engine

import (
	"net/netip"
	"time"
)

// book holds the addresses of peers: where they came from, how dialling them
// went, and when to try again.
type book struct {
	byAddr  map[netip.AddrPort]*known
	entries []*known // in the order in which they came, for a stable choice
	cursor  int      // where the next choice begins
	dialing int
	// seedDials is how many addresses may be dialled by who lacks nothing. Most
	// lead to other seeds, and to nothing, when a swarm is old.
	seedDials int
	numOf     [SourcePEX + 1]int // entries by source
	found     Found
}

// Found counts the addresses that somebody was the first to tell of, by who it
// was. One that was forgotten and comes again counts again.
type Found [SourcePEX + 1]int32

// known is one address.
type known struct {
	addr   netip.AddrPort
	source Source
	state  knownState
	fails  int
	tried  time.Duration // when the last try ended
	tryAt  time.Duration // when it is polite to try again
	seed   bool          // it had everything when its connection ended
}

type knownState uint8

const (
	knownIdle knownState = iota
	knownDialing
	knownConnected
	knownItself // it is us
)

func (b *book) init() {
	b.byAddr = make(map[netip.AddrPort]*known)
	b.seedDials = maxSeedDials
}

// tick is called every ten seconds.
func (b *book) tick() { b.seedDials = min(maxSeedDials, b.seedDials+seedDialsPerTick) }

// add takes an address in unless it is known or the book is full. A user's
// word is always taken. Who cannot be held to account fills half of the book at
// most: anybody can put addresses into the DHT, or send them by PEX.
func (b *book) add(addr netip.AddrPort, source Source) bool {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.IsValid() || addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return false
	}
	if k := b.byAddr[addr]; k != nil {
		b.vouch(k, source)
		return false
	}
	if source == SourceDHT || source == SourcePEX {
		if b.numOf[source] >= maxKnownUnvouched && !b.makeRoom(source) {
			return false
		}
	}
	if len(b.entries) >= maxKnown && !b.makeRoom(anySource) && source != SourceUser {
		return false
	}
	k := &known{addr: addr, source: source}
	b.numOf[source]++
	b.found[source]++
	b.byAddr[addr] = k
	b.entries = append(b.entries, k)
	return true
}

// vouch notes that a known address came from a better source as well. The
// tracker's word is what BEP 27 asks for, the user's stands above all.
func (b *book) vouch(k *known, source Source) {
	if source == SourceUser || source == SourceTracker && k.source != SourceUser {
		b.numOf[k.source]--
		b.numOf[source]++
		k.source = source
	}
}

// anySource stands for all of them.
const anySource = Source(255)

// makeRoom forgets the address that failed most often, of those that came from
// source, if any failed.
func (b *book) makeRoom(source Source) bool {
	worst := -1
	for i, k := range b.entries {
		if source != anySource && k.source != source {
			continue
		}
		if k.state == knownIdle && k.fails > 0 && (worst < 0 || k.fails > b.entries[worst].fails) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	b.remove(worst)
	return true
}

func (b *book) remove(i int) {
	delete(b.byAddr, b.entries[i].addr)
	b.numOf[b.entries[i].source]--
	if b.entries[i].state == knownDialing {
		b.dialing-- // nobody waits for how it ends
	}
	b.entries = append(b.entries[:i], b.entries[i+1:]...)
	if b.cursor > i {
		b.cursor--
	}
}

// nextToDial returns an address to dial at now, or nil. It goes round, so that a
// fresh address is not passed over for one that failed. Who is hungry does not
// wait out the longest pauses: a peer that was full half an hour ago may be
// the only one left. Who lacks nothing leaves seeds alone: both would hang up at once,
// and in a swarm of many seeds they would do little else.
func (e *Engine) nextToDial(now time.Duration) *known {
	b, hungry, lacking := &e.book, e.hungry(), e.lacking()
	n := len(b.entries)
	for i := range n {
		k := b.entries[(b.cursor+i)%n]
		if k.state == knownIdle && (lacking || !k.seed) && (k.tryAt <= now || hungry && now-k.tried >= redialHungry) {
			b.cursor = (b.cursor + i + 1) % n
			return k
		}
	}
	return nil
}

// connected notes that a dial succeeded.
func (b *book) connected(addr netip.AddrPort) {
	if k := b.byAddr[addr]; k != nil {
		if k.state == knownDialing {
			b.dialing--
		}
		k.state, k.fails = knownConnected, 0
	}
}

// itself notes that an address is our own.
func (b *book) itself(addr netip.AddrPort) {
	if k := b.byAddr[addr]; k != nil {
		k.state = knownItself
	}
}

// disconnected notes the end of a connection that we dialled. It is tried
// again later: at once would be a hammer on who has no room for us.
func (b *book) disconnected(now time.Duration, c *Conn) {
	if c.incoming && !c.booked && !c.seed {
		return
	}
	k := b.byAddr[c.contact()]
	if k == nil {
		return
	}
	k.seed = c.seed
	if k.state == knownConnected {
		k.state = knownIdle
		k.tried = now
		k.tryAt = now + 2*redialFirst
	}
}

// knowsIP reports whether any address with this IP is in the book.
func (b *book) knowsIP(ip netip.Addr) bool {
	for _, k := range b.entries {
		if k.addr.Addr() == ip {
			return true
		}
	}
	return false
}

// found handles addresses of peers.
func (e *Engine) found(now time.Duration, addrs []netip.AddrPort, source Source) {
	if e.cfg.Private && !source.vouched() {
		return // BEP 27
	}
	added := 0
	for _, addr := range addrs {
		if added == maxKnownPerSource {
			break
		}
		if !e.bans.hasIP(addr.Addr()) && e.book.add(addr, source) {
			added++
		}
	}
	e.dial(now)
}

// dialFailed handles a dial without a connection: the address waits, twice as
// long each time, and is forgotten in the end unless the user named it.
func (e *Engine) dialFailed(now time.Duration, addr netip.AddrPort) {
	e.cfg.Grants.DialDone(now)
	k := e.book.byAddr[addr]
	if k == nil || k.state != knownDialing {
		return
	}
	e.book.dialing--
	k.state = knownIdle
	k.tried = now
	k.fails++
	if k.fails >= maxDials && k.source != SourceUser && !e.hungry() {
		for i := range e.book.entries {
			if e.book.entries[i] == k {
				e.book.remove(i)
				break
			}
		}
	} else {
		k.tryAt = now + k.pause()
	}
	e.dial(now)
}

// pause is how long an address waits after its latest failure. One that the
// user named is tried again soon: somebody is about to start that peer.
func (k *known) pause() time.Duration {
	first, last := redialFirst, redialLast
	if k.source == SourceUser {
		first, last = redialUserFirst, redialUserLast
	}
	return min(first<<(min(k.fails, 10)-1), last)
}

// lacking reports whether peers are needed: for pieces, or for the metadata
// that tells which there are.
func (e *Engine) lacking() bool { return e.picker == nil || e.missing.Count() > 0 }

// hungry reports whether something is missing and few peers are there to bring
// it.
func (e *Engine) hungry() bool {
	return e.lacking() && e.numPeers()+e.book.dialing < hungryBelow
}

// callForPeers asks for more addresses when few peers are left and no address
// can be dialled now.
func (e *Engine) callForPeers(now time.Duration) {
	if e.numPeers()+e.book.dialing >= needPeersBelow {
		return
	}
	if e.lacking() && e.nextToDial(now) == nil || e.idles(now) {
		e.calledAt = now
		e.out.push(Output{Kind: OutNeedPeers})
	}
}

// idles reports whether a seed could give more than it does, in a swarm that
// is alive: it served somebody lately, nobody waits for it, and its uplink is not filled.
// There may be leechers that know only each other. Seeds of a quiet torrent do
// not ask, nor any seed often: trackers would feel it.
func (e *Engine) idles(now time.Duration) bool {
	return e.uploaded > 0 && now-e.served < seedCallEvery && now-e.calledAt >= seedCallEvery &&
		!e.choker.filled && !e.anyWaiting()
}

// dial connects to known addresses as long as there is room: in the torrent,
// and by the Grants.
func (e *Engine) dial(now time.Duration) {
	room := e.cfg.MaxPeers*dialShare/100 - e.numPeers() - e.book.dialing
	for ; room > 0; room-- {
		if !e.lacking() && e.book.seedDials == 0 {
			return
		}
		k := e.nextToDial(now)
		if k == nil {
			return
		}
		if e.bans.hasIP(k.addr.Addr()) {
			k.state = knownItself // never again
			continue
		}
		if !e.cfg.Grants.Dial(now) {
			return
		}
		k.state = knownDialing
		e.book.dialing++
		e.book.seedDials = max(0, e.book.seedDials-1)
		e.out.push(Output{Kind: OutDial, Addr: k.addr})
	}
}
