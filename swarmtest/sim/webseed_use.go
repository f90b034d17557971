package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// webUse is a web seed as one of the peers has it that use it: as in the client, there is a range at
// a time, and one that fails is left alone for a while.
type webUse struct {
	index    int // in Peer.WebSeeds
	server   *webServer
	flow     *flow      // the last one
	waiting  []webBlock // that the engine asks for
	underway int        // blocks of the range that were not received yet
	backoff  engine.WebSeedBackoff
	random   *rand.Rand // by which pauses differ
	banned   bool
}

// dialWebSeeds connects to the peer's web seeds.
func (p *peer) dialWebSeeds(now time.Duration) {
	for i, n := range p.cfg.WebSeeds {
		stream := streamWebSeed + uint32(p.life)<<8 + uint32(i)<<16
		use := &webUse{index: i, server: p.swarm.servers[n], random: p.kernel.Rand(p.id, stream)}
		p.webSeeds = append(p.webSeeds, use)
		p.dialWebSeed(now, use)
	}
}

// dialWebSeed connects to a web seed. It is up after a round trip.
func (p *peer) dialWebSeed(now time.Duration, use *webUse) {
	f := p.dialFlow(use.server.id)
	f.quiet, f.web = true, use
	use.flow = f
	p.kernel.At(now+f.latency, Event{To: use.server.id, Kind: eventDial, A: f.number})
}

// webSeedUp tells the engine of a web seed.
func (p *peer) webSeedUp(now time.Duration, f *flow, remote uint32) {
	p.kernel.establish(p.host, f, remote)
	f.conn.Owner = f
	in := engine.Input{Kind: engine.InConnUp, Conn: &f.conn, WebSeed: true}
	in.PeerID[0], in.PeerID[1], in.PeerID[2] = byte(f.dst), byte(f.dst>>8), byte(f.dst>>16)
	p.engine.Receive(now, &in)
}

// webSeedFailed asks a web seed again, after a pause, whose connection was refused or broke.
func (p *peer) webSeedFailed(now time.Duration, use *webUse) {
	if pause, again := use.backoff.Failed(use.random.Float64()); again {
		p.redialWebSeed(now+pause, use)
	}
}

// webSeedBusy takes the answer of a web seed that has no time.
func (p *peer) webSeedBusy(now time.Duration, f *flow, retryAfter time.Duration) {
	use := f.web
	p.close(now, f)
	p.redialWebSeed(now+use.backoff.Busy(retryAfter, use.random.Float64()), use)
}

func (p *peer) redialWebSeed(at time.Duration, use *webUse) {
	p.kernel.At(at, Event{To: p.id, Kind: eventWebSeed, Sub: p.life, A: uint32(use.index)})
}

// down forgets what was asked of a web seed whose connection is gone: the engine asks again, perhaps
// somebody else.
func (use *webUse) down() { use.waiting, use.underway = nil, 0 }

// closedByEngine notes whether a web seed is left alone because it lied.
func (use *webUse) closedByEngine(reason string) {
	use.banned = use.banned || strings.HasPrefix(reason, "banned")
}

// askWebSeed queues a block, or takes it out again. What was asked for already comes all
// the same: HTTP has no word to take it back.
func (p *peer) askWebSeed(now time.Duration, f *flow, m wire.Message) {
	b := webBlock{m.Index, m.Begin / metainfo.BlockLen}
	if m.Type == wire.Request {
		f.web.waiting = append(f.web.waiting, b)
	} else if i := slices.Index(f.web.waiting, b); i >= 0 {
		f.web.waiting = slices.Delete(f.web.waiting, i, i+1)
		m.Type = wire.Reject
		p.engine.Receive(now, &engine.Input{Kind: engine.InMessage, Conn: &f.conn, Message: m})
	}
}

// askForRanges asks each web seed of which nothing is under way for the blocks that follow each
// other at the head of its queue.
func (p *peer) askForRanges() {
	for _, use := range p.webSeeds {
		if f := use.flow; f.state == flowing && use.underway == 0 && len(use.waiting) > 0 {
			first, n := use.waiting[0], 1
			for n < len(use.waiting) && use.waiting[n] == use.waiting[n-1].next(p.swarm.cfg.Geometry) {
				n++
			}
			use.waiting = slices.Delete(use.waiting, 0, n)
			use.underway = n
			p.kernel.sendMessage(p.host, f, message{
				len: requestHeadLen, sub: uint8(wire.Request), a: first.piece, b: first.index, c: uint32(n),
			})
		}
	}
}

// gotFromWebSeed counts a block of a range.
func (p *peer) gotFromWebSeed(use *webUse, numBytes uint32) {
	p.fromWebSeeds += int64(numBytes)
	use.underway--
	use.backoff.Served()
}
