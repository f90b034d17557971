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

// Swarm describes one torrent's swarm. Zero means the default of a field, a
// negative number that there is none.
type Swarm struct {
	// Seed is where all randomness of the run comes from.
	Seed     uint64
	Geometry metainfo.Geometry
	// Peers are all that will ever join. Appending one leaves the random
	// streams of the others as they are.
	Peers []Peer

	// Latency is the time that everything needs from one host to another,
	// beside its time on the links. Between, if not nil, overrides it for two
	// peers, given by their positions in Peers; it must be symmetric. The fewer
	// different latencies there are, the faster is the run.
	Latency time.Duration
	Between func(a, b int) time.Duration
	// SlowStart makes connections begin slowly, as TCP's do.
	SlowStart bool
	// HashDelay is the time from the last block of a piece until it is
	// verified and stored. The default is none.
	HashDelay time.Duration

	// AnnounceInterval is what the tracker tells peers to keep to.
	AnnounceInterval time.Duration

	// Limit ends the run at a virtual time, Patience after so long without
	// progress.
	Limit, Patience time.Duration
	// KeepRunning goes on when every peer that was to complete has done so, until
	// all have left or the Limit.
	KeepRunning bool
	// Configure changes the engine's configuration of the peer at a position
	// in Peers: an ablation, for example.
	Configure func(peer int, cfg *engine.Config)

	// OnSample is called with how the swarm stands each time that SampleEvery
	// of virtual time has passed (0: never), and once at the end.
	SampleEvery time.Duration
	OnSample    func(*Sample)
	// Progress is called every few thousand events: done of total peers that are to
	// complete have done so or left. Interrupted is asked as often; true ends the run with
	// that Reason. A run calls all functions on the caller's goroutine; they do not change what
	// happens in it.
	Progress    func(now time.Duration, done, total int)
	Interrupted func() bool
	// Pool runs the hosts side by side, on several processors; nil is one. What happens does
	// not depend on it.
	Pool Pool
}

// Pool runs a function on several goroutines: swarmtest/sim/pool has one. The simulator itself starts
// none.
type Pool interface {
	// Size is the number of workers.
	Size() int
	// Do calls work with each number from 0 to Size()-1, all at the same time, and waits for
	// them to return.
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
	// Seed has everything from the start, and stays.
	Seed bool
	// Have is what it has from the start, nil for nothing. It is not changed.
	Have *bitfield.Set
	// SeedFor is how long it stays when it has completed: 0 for ever, negative
	// not at all. Leave, if not 0, is when it leaves in any case.
	SeedFor, Leave time.Duration
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
	if err != nil {
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
	case s.Limit == 0 || s.Patience == 0 || s.AnnounceInterval == 0:
		return errors.New("swarm: a run needs a limit, a patience and an announce interval")
	}
	for i, p := range s.Peers {
		switch {
		case p.Link.Up < 0 || p.Link.Down < 0:
			return fmt.Errorf("swarm: peer %d: a link has a negative rate; 0 is unlimited", i)
		case p.Join < 0 || p.Leave < 0:
			return fmt.Errorf("swarm: peer %d: joins or leaves before the beginning", i)
		case p.Have != nil && p.Have.Len() != s.Geometry.NumPieces():
			return fmt.Errorf("swarm: peer %d: has %d pieces of %d", i, p.Have.Len(), s.Geometry.NumPieces())
		}
	}
	return nil
}

// swarm is a running Swarm: the peers, their connections, and the tracker.
type swarm struct {
	cfg      Swarm
	kernel   *Kernel
	infoHash metainfo.InfoHash
	tracker  *trackerEntity
	peers    []*peer
	conns    []*connection // by the index that events hold, nil for free ones
	free     []uint32      // the free indices
	byFlow   []*end        // who sends on a flow

	// payloads are those of messages under way; an event holds the index.
	payloads     [][]byte
	freePayloads []uint32

	total      int // peers that are to complete, at the start
	toComplete int // those that have not, and did not leave
	present    int // peers that are there, or will come
}

// The random streams of a peer.
const (
	streamEngine uint32 = iota
	streamID
)

func newSwarm(cfg Swarm) (*swarm, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &swarm{cfg: cfg, kernel: New(cfg.Seed)}
	w.kernel.SlowStart(cfg.SlowStart)
	seed := binary.LittleEndian.AppendUint64([]byte("swarm"), cfg.Seed)
	sum := sha256.Sum256(seed)
	copy(w.infoHash[:], sum[:])
	if err := w.addTracker(); err != nil {
		return nil, err
	}
	for i := range cfg.Peers {
		w.addPeer(i)
	}
	w.total = w.toComplete
	return w, nil
}

// pollEvents is the number of events between two calls of Progress and
// Interrupted: some tens of milliseconds.
const pollEvents = 1 << 15

// run drives the kernel and gathers the results.
func (w *swarm) run() *Result {
	if w.toComplete == 0 && !w.cfg.KeepRunning {
		w.kernel.Stop(allComplete)
	}
	samples := newSampler(w)
	reason := ""
	for reason == "" {
		reason = w.runOn(samples)
	}
	if w.cfg.OnSample != nil {
		w.cfg.OnSample(samples.take())
	}
	return w.result(reason)
}

// runOn runs until the next sample or poll. The reason is "" if it goes on.
func (w *swarm) runOn(samples *sampler) (reason string) {
	k, until := w.kernel, w.cfg.Limit
	sampling := w.cfg.OnSample != nil && w.cfg.SampleEvery > 0 && samples.last+w.cfg.SampleEvery < until
	if sampling {
		until = samples.last + w.cfg.SampleEvery
	}
	reason = k.advance(until, w.cfg.Patience, pollEvents)
	switch {
	case reason != "":
		return reason
	case !k.passed(until):
		return w.poll()
	case !sampling:
		return limitReached(w.cfg.Limit)
	}
	w.cfg.OnSample(samples.take())
	return ""
}

// poll tells the caller how far the run is, and asks whether it is to end.
func (w *swarm) poll() (reason string) {
	if w.cfg.Progress != nil {
		w.cfg.Progress(w.kernel.Now(), w.total-w.toComplete, w.total)
	}
	if w.cfg.Interrupted != nil && w.cfg.Interrupted() {
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

// completed and left count peers, and end the run after the last one.
func (w *swarm) completed() {
	w.toComplete--
	w.endIfDone()
}

func (w *swarm) left(unfinished bool) {
	if unfinished {
		w.toComplete--
	}
	if w.present--; w.present == 0 {
		w.kernel.Stop(allLeft)
	}
	w.endIfDone()
}

func (w *swarm) endIfDone() {
	if w.toComplete == 0 && !w.cfg.KeepRunning {
		w.kernel.Stop(allComplete)
	}
}

// latency is the time from one peer to another, in whole microseconds: an event
// of a broadcast has room for 32 bits.
func (w *swarm) latency(a, b *peer) time.Duration {
	latency := w.cfg.Latency
	if w.cfg.Between != nil {
		latency = w.cfg.Between(a.index, b.index)
	}
	return max(latency, 0).Truncate(time.Microsecond)
}

// listenPort is where every peer listens: the first port of BEP 3's range.
const listenPort = 6881

// addrOf is the address of the peer at a position in Peers. Neighbours are in
// different /24 networks, as the peers of a real swarm are: the allowed-fast set of
// BEP 6 is the same for all of one network, and they would all begin with the same pieces.
func addrOf(index int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(index >> 8), byte(index), byte(index >> 16)}), port)
}

// peerAt returns the peer with an address, or nil.
func (w *swarm) peerAt(addr netip.AddrPort) *peer {
	if !addr.Addr().Is4() || addr.Port() != listenPort {
		return nil
	}
	ip := addr.Addr().As4()
	index := int(ip[3])<<16 | int(ip[1])<<8 | int(ip[2])
	if ip[0] != 10 || index >= len(w.peers) {
		return nil
	}
	return w.peers[index]
}

// keep stores a payload until its message arrives, and drop takes it out.
func (w *swarm) keep(payload []byte) uint32 {
	if len(payload) == 0 {
		return 0
	}
	payload = append([]byte(nil), payload...) // valid only until the next call of the engine
	if n := len(w.freePayloads); n > 0 {
		i := w.freePayloads[n-1]
		w.freePayloads = w.freePayloads[:n-1]
		w.payloads[i-1] = payload
		return i
	}
	w.payloads = append(w.payloads, payload)
	return uint32(len(w.payloads))
}

func (w *swarm) drop(i uint32) (payload []byte) {
	if i == 0 {
		return nil
	}
	payload, w.payloads[i-1] = w.payloads[i-1], nil
	w.freePayloads = append(w.freePayloads, i)
	return payload
}
