package engine

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"
)

// book holds the addresses of peers: where they came from, how dialling them
// went, and when to try again.
type book struct {
	entries []known             // in the order in which they came, for a stable choice
	tags    []uint16            // of the addresses of entries
	zones   map[endpoint]string // of the few that have one: link-local addresses that the user named
	cursor  int                 // where the next choice begins
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

// known is one address. There may be thousands of them in each torrent, so it is
// small, and without pointers.
type known struct {
	addr   endpoint
	source Source
	state  knownState
	fails  uint8         // dials in a row that failed, at most maxFails
	seed   bool          // it had everything when its connection ended
	tried  time.Duration // when the last try ended, 0 if there was none
}

// maxFails is where the counting of failed dials ends.
const maxFails = math.MaxUint8

type knownState uint8

const (
	knownIdle knownState = iota
	knownDialing
	knownConnected
	knownItself // it is us
)

// endpoint is an IP address and a port in a third of the memory of a netip.AddrPort.
type endpoint struct {
	ip   [16]byte
	port uint16
}

func endpointOf(addr netip.AddrPort) endpoint {
	return endpoint{ip: addr.Addr().As16(), port: addr.Port()}
}

// tag is a short hash. It need not be hard to predict: whoever aims many addresses at
// one tag makes searching a book as slow as without tags, which is microseconds.
func (a endpoint) tag() uint16 {
	h := binary.LittleEndian.Uint64(a.ip[:8]) ^ binary.LittleEndian.Uint64(a.ip[8:]) ^ uint64(a.port)
	return uint16(h * 0x9e3779b97f4a7c15 >> 48)
}

func (b *book) init() { b.seedDials = maxSeedDials }

// tick is called every ten seconds.
func (b *book) tick() { b.seedDials = min(maxSeedDials, b.seedDials+seedDialsPerTick) }

// find returns what is known of an address, or nil. It is valid until an address is
// added or removed. The tags are searched, for a map would take as much memory
// as the entries, and two thousand tags are searched in less time than a map in cold
// memory takes to answer.
func (b *book) find(addr netip.AddrPort) *known {
	if !addr.IsValid() {
		return nil
	}
	want := endpointOf(addr)
	for i, tag := 0, want.tag(); i < len(b.tags); i++ {
		if b.tags[i] == tag && b.entries[i].addr == want {
			return &b.entries[i]
		}
	}
	return nil
}

// addrOf is the address of an entry, to be dialled.
func (b *book) addrOf(k *known) netip.AddrPort {
	ip := netip.AddrFrom16(k.addr.ip).Unmap()
	if zone := b.zones[k.addr]; zone != "" {
		ip = ip.WithZone(zone)
	}
	return netip.AddrPortFrom(ip, k.addr.port)
}

// add takes an address in unless it is known or the book is full. A user's
// word is always taken. Who cannot be held to account fills half of the book at
// most: anybody can put addresses into the DHT, or send them by PEX.
func (b *book) add(addr netip.AddrPort, source Source) bool {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.IsValid() || addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return false
	}
	if k := b.find(addr); k != nil {
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
	b.append(addr, source)
	return true
}

func (b *book) append(addr netip.AddrPort, source Source) {
	k := known{addr: endpointOf(addr), source: source}
	b.numOf[source]++
	b.found[source]++
	b.entries = append(b.entries, k)
	b.tags = append(b.tags, k.addr.tag())
	if zone := addr.Addr().Zone(); zone != "" {
		if b.zones == nil {
			b.zones = make(map[endpoint]string)
		}
		b.zones[k.addr] = zone
	}
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
	for i := range b.entries {
		k := &b.entries[i]
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
	k := &b.entries[i]
	b.numOf[k.source]--
	if k.state == knownDialing {
		b.dialing-- // nobody waits for how it ends
	}
	delete(b.zones, k.addr)
	b.entries = slices.Delete(b.entries, i, i+1)
	b.tags = slices.Delete(b.tags, i, i+1)
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
		k := &b.entries[(b.cursor+i)%n]
		if k.state == knownIdle && (lacking || !k.seed) && (k.tryAt() <= now || hungry && now-k.tried >= redialHungry) {
			b.cursor = (b.cursor + i + 1) % n
			return k
		}
	}
	return nil
}

// connected notes that a dial succeeded.
func (b *book) connected(addr netip.AddrPort) {
	if k := b.find(addr); k != nil {
		if k.state == knownDialing {
			b.dialing--
		}
		k.state, k.fails = knownConnected, 0
	}
}

// itself notes that an address is our own.
func (b *book) itself(addr netip.AddrPort) {
	if k := b.find(addr); k != nil {
		k.state = knownItself
	}
}

// disconnected notes the end of a connection that we dialled. It is tried
// again later.
func (b *book) disconnected(now time.Duration, c *Conn) {
	if c.incoming && !c.booked && !c.seed {
		return
	}
	k := b.find(c.contact())
	if k == nil {
		return
	}
	k.seed = c.seed
	if k.state == knownConnected {
		k.state = knownIdle
		k.tried = max(now, 1) // 0 is never
	}
}

// knowsIP reports whether any address with this IP is in the book.
func (b *book) knowsIP(ip netip.Addr) bool {
	want := ip.As16()
	return slices.ContainsFunc(b.entries, func(k known) bool { return k.addr.ip == want })
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
	k := e.book.find(addr)
	if k == nil || k.state != knownDialing {
		return
	}
	e.book.dialing--
	k.state = knownIdle
	k.tried = now
	k.fails = min(k.fails, maxFails-1) + 1
	if k.fails >= maxDials && k.source != SourceUser && !e.hungry() {
		e.book.remove(slices.IndexFunc(e.book.entries, func(other known) bool { return other.addr == k.addr }))
	}
	e.dial(now)
}

// tryAt is when it is polite to try an address again.
func (k *known) tryAt() time.Duration {
	switch {
	case k.tried == 0 && k.fails == 0:
		return 0
	case k.fails == 0: // it was connected: at once would be a hammer on who has no room for us
		return k.tried + 2*redialFirst
	}
	return k.tried + k.pause()
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
		addr := e.book.addrOf(k)
		if e.bans.hasIP(addr.Addr()) {
			k.state = knownItself // never again
			continue
		}
		if !e.cfg.Grants.Dial(now) {
			return
		}
		k.state = knownDialing
		e.book.dialing++
		e.book.seedDials = max(0, e.book.seedDials-1)
		e.out.push(Output{Kind: OutDial, Addr: addr})
	}
}
