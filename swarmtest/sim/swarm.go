package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
)

// The defaults of Swarm.
const (
	// DefaultLatency is half of a round trip within one continent.
	DefaultLatency = 25 * time.Millisecond
	// DefaultLimit is the virtual time a run may take.
	DefaultLimit = 7 * 24 * time.Hour
	// DefaultPatience is the virtual time a run may spend without a piece or a
	// peer that comes or goes. An hour is long even for one piece of 1 MiB at 1 KiB/s.
	DefaultPatience = time.Hour
	// DefaultAnnounceInterval is what most trackers tell.
	DefaultAnnounceInterval = 30 * time.Minute
)

// maxPeers is what the addresses 10.0.0.0/8 have room for.
const maxPeers = 1 << 24

// maxContents bounds Swarm.Contents: each is an engine of every seed. Arbitrary.
const maxContents = 10_000

// Swarm describes one torrent's swarm, or those of several. Zero means the default of a field, a
// negative number that there is none.
type Swarm struct {
	// Seed is where all randomness of the run comes from.
	Seed     uint64
	Geometry metainfo.Geometry
	// Contents is how many contents there are, all of that Geometry: each has a torrent of its own, and one tracker
	// has them all. 0 is one.
	Contents int
	// Peers are all that will ever join. Appending one leaves the random
	// streams of the others as they are.
	Peers []Peer
	// WebSeeds are servers that peers may use; see Peer.WebSeeds. They have no part in the randomness.
	WebSeeds []WebSeed

	// Latency is the time that everything needs from one host to another,
	// beside its time on the links. Between, if not nil, overrides it for two
	// peers, given by their positions in Peers, behind them in WebSeeds, and behind those
	// for DHT.Nodes; it must be symmetric. The fewer different latencies there are, the faster is
	// the run. None is less than 100 microseconds.
	Latency time.Duration
	Between func(a, b int) time.Duration
	// SlowStart makes connections begin slowly, as TCP's do.
	SlowStart bool
	// HashDelay is the time from the last block of a piece until it is
	// verified and stored. The default is none.
	HashDelay time.Duration

	// Loss is the part of the packets, from 0 to less than 1, that is lost between any two peers. It caps
	// the rate of their connections, by what TCP makes of such a loss; nothing is sent twice.
	Loss float64
	// Faults are what goes wrong, and when.
	Faults []Fault
	// Foreign, if not 0, makes the tracker name peers of the same ISP, and this many of any: the biased
	// neighbour selection of Bindal et al. ("Improving Traffic Locality in BitTorrent via Biased Neighbor
	// Selection", 2006).
	Foreign int

	// Wire puts each handshake and message through peer/wire, which changes nothing unless the simulator or the
	// codec is wrong; then the run panics. It takes two or three times as long.
	Wire bool

	// NoTracker takes the tracker away. DHT, if not nil, is one by which peers find each other, beside the
	// tracker or alone. (For peer exchange see Configure.)
	NoTracker bool
	DHT       *DHT

	// AnnounceInterval is what the tracker tells peers to keep to.
	AnnounceInterval time.Duration

	// Limit ends the run at a virtual time, Patience after so long without
	// progress.
	Limit, Patience time.Duration
	// KeepRunning goes on when every peer that was to complete has done so, until
	// all have left or the Limit.
	KeepRunning bool
	// Configure changes the engine's configuration of the peer at a position in
	// Peers: an ablation, for example. The workers of a Pool call it and
	// Between side by side, so they change nothing else.
	Configure func(peer int, cfg *engine.Config)

	// OnSample is called with how the swarm stands each time that SampleEvery
	// of virtual time has passed (0: never), and once at the end, unless the run was
	// interrupted.
	SampleEvery time.Duration
	OnSample    func(*Sample)
	// Progress is called every few thousand events: done of total peers that
	// are to complete have done so or left. It is called on the caller's
	// goroutine, and does not change what happens.
	Progress func(now time.Duration, done, total int)
	// Interrupted is asked as often, and while the swarm is set up; true ends the
	// run with that Reason. The workers of a Pool call it side by side.
	Interrupted func() bool
	// Pool runs the hosts side by side, on several processors; nil is one. What
	// happens does not depend on it.
	Pool Pool
}

// Pool runs a function on several goroutines: swarmtest/sim/pool has one. The
// simulator itself starts none.
type Pool interface {
	// Size is the number of workers.
	Size() int
	// Do calls work with each number from 0 to Size()-1, all at the same time,
	// and waits for them to return.
	Do(work func(worker int))
}

// Peer is one peer of a swarm.
type Peer struct {
	// Class is a word for the results: "seed", "dsl".
	Class string
	// Link is the access link.
	Link Link
	// Join is when it starts.
	Join time.Duration
	// Content is the one that it downloads, from 0.
	Content int
	// Seed has everything from the start, and stays. Of several contents it has all: its process has a torrent for
	// each, which share the link and the Quota.
	Seed bool
	// Have is what it has from the start, nil for nothing. It is not changed.
	Have *bitfield.Set
	// SeedFor is how long it stays when it has completed: 0 for ever, negative
	// not at all. Leave, if not 0, is when it leaves in any case.
	SeedFor, Leave time.Duration
	// GiveUp, if not 0, is when it leaves unless it has completed.
	GiveUp time.Duration
	// LeaveAfter, if not 0, is after how many bytes of blocks that it sent it leaves.
	LeaveAfter int64
	// Corrupt peers send blocks that are false: no piece with one of them matches its hash.
	Corrupt bool
	// Loss is as Swarm.Loss, on this peer's access link.
	Loss float64
	// ISP is a number for whose network it is in.
	ISP int
	// WebSeeds are the positions in Swarm.WebSeeds of the servers that it uses.
	WebSeeds []int
	// Unreachable peers (behind a NAT) dial, but cannot be dialled.
	Unreachable bool
	// Quota is what its process shares out, Limits what the torrent may have.
	Quota  quota.Config
	Limits quota.Limits
}

// Repeat returns n peers like p.
func Repeat(n int, p Peer) []Peer {
	peers := make([]Peer, n)
	for i := range peers {
		peers[i] = p
	}
	return peers
}

// Run runs the swarm to its end and says what happened. The error is a
// mistake in the description; a run that gets nowhere is not an error, see
// Result.Reason.
func (s Swarm) Run() (*Result, error) {
	w, err := newSwarm(s)
	switch {
	case errors.Is(err, errInterrupted):
		return &Result{Reason: Interrupted}, nil
	case err != nil:
		return nil, err
	}
	return w.run(), nil
}

func (s *Swarm) setDefaults() {
	setDefault(&s.Latency, DefaultLatency)
	setDefault(&s.Limit, DefaultLimit)
	setDefault(&s.Patience, DefaultPatience)
	setDefault(&s.AnnounceInterval, DefaultAnnounceInterval)
}

// setDefault applies the convention of Swarm. A negative duration becomes 0.
func setDefault(d *time.Duration, def time.Duration) {
	switch {
	case *d == 0:
		*d = def
	case *d < 0:
		*d = 0
	}
}

func (s *Swarm) validate() error {
	switch {
	case s.Geometry.IsZero():
		return errors.New("swarm: the geometry is not set")
	case len(s.Peers) == 0 || len(s.Peers) > maxPeers:
		return fmt.Errorf("swarm: %d peers, expected 1 to %d", len(s.Peers), maxPeers)
	case s.Contents < 0 || s.Contents > maxContents:
		return fmt.Errorf("swarm: %d contents, expected 1 to %d", s.Contents, maxContents)
	case s.Foreign < 0:
		return errors.New("swarm: a negative number of foreign peers")
	case !validLoss(s.Loss):
		return fmt.Errorf("swarm: a loss of %g, expected 0 to less than 1", s.Loss)
	case s.Limit == 0 || s.Patience == 0 || s.AnnounceInterval == 0:
		return errors.New("swarm: a run needs a limit, a patience and an announce interval")
	}
	if s.NoTracker && s.DHT == nil && len(s.WebSeeds) == 0 {
		return errors.New("swarm: nobody could find anybody: there is neither a tracker nor a DHT")
	}
	if err := s.DHT.validate(); err != nil {
		return err
	}
	if err := s.validateWebSeeds(); err != nil {
		return err
	}
	for i, p := range s.Peers {
		switch {
		case p.Link.Up < 0 || p.Link.Down < 0:
			return fmt.Errorf("swarm: peer %d: a link has a negative rate; 0 is unlimited", i)
		case !validLoss(p.Loss):
			return fmt.Errorf("swarm: peer %d: a loss of %g, expected 0 to less than 1", i, p.Loss)
		case p.Join < 0 || p.Leave < 0 || p.GiveUp < 0 || p.LeaveAfter < 0:
			return fmt.Errorf("swarm: peer %d: joins or leaves before the beginning", i)
		case p.Content < 0 || p.Content >= max(s.Contents, 1):
			return fmt.Errorf("swarm: peer %d: there is no content %d", i, p.Content)
		case p.Have != nil && p.Have.Len() != s.Geometry.NumPieces():
			return fmt.Errorf("swarm: peer %d: has %d pieces of %d", i, p.Have.Len(), s.Geometry.NumPieces())
		}
	}
	return s.validateFaults()
}

// swarm is a running Swarm: the peers and the tracker. While it runs, a peer
// touches nothing of another, because they may be simulated side by side.
type swarm struct {
	cfg     Swarm
	shards  shards
	states  []shardState // by kernel
	hashes  []metainfo.InfoHash
	tracker *trackerEntity
	peers   []*peer      // of a publisher, its first torrent
	servers []*webServer // the web seeds
	routers []netip.AddrPort
	samples *sampler

	total    int    // peers that are to complete, at the start
	polledAt uint64 // events
}

// shardState is what the peers of one kernel have in common.
type shardState struct {
	tally
	changed time.Duration // when the tally last did
	addrs   []netip.AddrPort
	encoded []byte // the last message, with Swarm.Wire
	outputs engine.Outputs
}

// tally counts peers.
type tally struct {
	toComplete int // those that have not, and did not leave
	present    int // those that are there, or will come
}

// The random streams of a peer.
const (
	streamEngine uint32 = iota
	streamID
	streamNode
	streamDHT
	streamWebSeed
)

func newSwarm(cfg Swarm) (*swarm, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	numKernels := 1
	if cfg.Pool != nil {
		numKernels = cfg.Pool.Size()
	}
	kernels := newKernels(cfg.Seed, numKernels)
	for _, k := range kernels {
		k.ask = cfg.Interrupted
	}
	w := &swarm{cfg: cfg, states: make([]shardState, numKernels)}
	w.shards = shards{kernels: kernels, pool: cfg.Pool, window: atLeastMinLatency(cfg.Latency)}
	w.world().SlowStart(cfg.SlowStart)
	w.addHashes()
	if err := w.addTracker(); err != nil {
		return nil, err
	}
	for i := range cfg.Peers {
		if i%askPeers == 0 && w.asksToEnd() {
			return nil, errInterrupted
		}
		w.addPeer(i)
	}
	for i := range cfg.WebSeeds {
		w.addWebSeed(i)
	}
	w.addDHT()
	w.addFaults()
	w.total = w.tally().toComplete
	w.samples = newSampler(w)
	return w, nil
}

// askPeers is the number of peers that are set up between two calls of Interrupted. Arbitrary: some milliseconds.
const askPeers = 256

// errInterrupted says that Interrupted ended the run before it began.
var errInterrupted = errors.New(Interrupted)

func (w *swarm) asksToEnd() bool { return w.cfg.Interrupted != nil && w.cfg.Interrupted() }

// addHashes draws the info-hash of each content.
func (w *swarm) addHashes() {
	seed := binary.LittleEndian.AppendUint64([]byte("swarm"), w.cfg.Seed)
	for content := range max(w.cfg.Contents, 1) {
		if content > 0 {
			seed = binary.LittleEndian.AppendUint32(seed[:len("swarm")+8], uint32(content))
		}
		sum := sha256.Sum256(seed)
		w.hashes = append(w.hashes, metainfo.InfoHash(sum[:20]))
	}
}

func (w *swarm) infoHash(content uint32) metainfo.InfoHash { return w.hashes[content] }

// world is what the kernels share.
func (w *swarm) world() *world { return w.shards.kernels[0].world }

// tally adds up those of the kernels.
func (w *swarm) tally() (sum tally) {
	for i := range w.states {
		sum.toComplete += w.states[i].toComplete
		sum.present += w.states[i].present
	}
	return sum
}

// pollEvents is the number of events between two calls of Progress and
// Interrupted: some tens of milliseconds.
const pollEvents = 1 << 15

// run runs the kernels to the end and gathers the results.
func (w *swarm) run() *Result {
	reason := ""
	for reason == "" {
		reason = w.runOn()
	}
	end := w.end(reason)
	if w.cfg.OnSample != nil && reason != Interrupted { // who interrupts does not wait for a look at everybody
		w.cfg.OnSample(w.samples.take(end))
	}
	return w.result(reason, end)
}

// runOn runs one window, or up to the next sample, which it takes. The reason
// is why the run ends, "" if it goes on.
func (w *swarm) runOn() (reason string) {
	next, ok := w.shards.next()
	done := w.done()
	if done != "" && (!ok || w.shards.ended(next)) {
		return done
	}
	until := w.cfg.Limit
	if at, ok := w.samples.due(); ok && done == "" && at < until {
		if next > at {
			w.cfg.OnSample(w.samples.take(at))
			return ""
		}
		until = at
	}
	_, lastProgress := w.shards.now()
	if reason := whyEnd(next, ok, w.cfg.Limit, lastProgress, w.cfg.Patience); reason != "" {
		return reason
	}
	w.shards.run(next, until)
	return w.poll()
}

// done says why the swarm itself ends the run, "" if it does not.
func (w *swarm) done() (reason string) {
	switch t := w.tally(); {
	case t.present == 0:
		return allLeft
	case t.toComplete == 0 && !w.cfg.KeepRunning:
		return allComplete
	}
	return ""
}

// end is the time at which a run ended. A swarm that is done has ended with the
// peer that came to its end last, though its last window may have gone on.
func (w *swarm) end(reason string) (at time.Duration) {
	if reason != w.done() {
		if next, ok := w.shards.next(); ok && next > w.cfg.Limit {
			return w.cfg.Limit
		}
		at, _ = w.shards.now()
		return at
	}
	for i := range w.states {
		at = max(at, w.states[i].changed)
	}
	return at
}

// poll tells the caller now and then how far the run is, and asks whether it is to end.
func (w *swarm) poll() (reason string) {
	if w.shards.stuck() {
		now, _ := w.shards.now()
		return tooMany(now)
	}
	if w.shards.interrupted() {
		return Interrupted
	}
	events := w.shards.events()
	if events-w.polledAt < pollEvents {
		return ""
	}
	w.polledAt = events
	if w.cfg.Progress != nil {
		now, _ := w.shards.now()
		w.cfg.Progress(now, w.total-w.tally().toComplete, w.total)
	}
	if w.asksToEnd() {
		return Interrupted
	}
	return ""
}

// The reasons for which a swarm ends itself.
const (
	// Interrupted is the Result.Reason of a run that Swarm.Interrupted ended.
	Interrupted = "interrupted"

	allComplete = "every peer completed"
	allLeft     = "every peer left"
)

// minLatency is the least latency there is. Between two hosts in one rack it is
// of this order. Nothing can be faster than all: hosts that act on each other at once
// cannot be simulated side by side.
const minLatency = 100 * time.Microsecond

// maxLatency keeps a latency within the 32 bits that an event of a broadcast
// has for its microseconds. The moon is at 1.3 s.
const maxLatency = time.Hour

func atLeastMinLatency(latency time.Duration) time.Duration {
	return min(max(latency, minLatency), maxLatency).Truncate(time.Microsecond)
}

// latency is the time from one peer to another.
func (w *swarm) latency(a, b ID) time.Duration {
	if w.cfg.Between == nil {
		return atLeastMinLatency(w.cfg.Latency)
	}
	return atLeastMinLatency(w.cfg.Between(w.indexOf(a), w.indexOf(b)))
}

// indexOf is the position in Peers of the host with an ID: the tracker has the first. Web seeds come
// behind the peers, and nodes of the DHT behind those.
func (w *swarm) indexOf(id ID) int { return int(id) - 1 }

func (w *swarm) peer(id ID) *peer { return w.peers[w.indexOf(id)] }

// listenPort is where every peer listens: the first port of BEP 3's range.
const listenPort = 6881

// addrOf is the address of the peer at a position in Peers. Neighbours are in
// different /24 networks, as the peers of a real swarm are: the allowed-fast
// set of BEP 6 is the same for all of one network, and they would all begin
// with the same pieces.
func addrOf(index int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(index >> 8), byte(index), byte(index >> 16)}), port)
}

// peerAt returns the peer with an address, or nil.
func (w *swarm) peerAt(addr netip.AddrPort) *peer {
	index, ok := indexAt(addr)
	if !ok || index >= len(w.peers) {
		return nil
	}
	return w.peers[index]
}

// indexAt undoes addrOf. There need not be a host.
func indexAt(addr netip.AddrPort) (index int, ok bool) {
	if !addr.Addr().Is4() || addr.Port() != listenPort {
		return 0, false
	}
	ip := addr.Addr().As4()
	return int(ip[3])<<16 | int(ip[1])<<8 | int(ip[2]), ip[0] == 10
}
