package quota

import (
	"slices"
	"time"
)

// The defaults of Config.
const (
	// DefaultConnections stays well below the 1,024 descriptors that many
	// systems give a process.
	DefaultConnections = 500
	// DefaultHalfOpen keeps home routers alive: dials to addresses that never
	// answer fill their tables for minutes.
	DefaultHalfOpen = 50
	// DefaultBuffer, in bytes, is more than twice what 1 Gbit/s needs over a round
	// trip of 100 ms, and leaves the process small.
	DefaultBuffer = 32 << 20
)

// Config bounds a process. Of each limit zero means the default and a negative
// number that there is none.
type Config struct {
	// Up and Down are payload bytes/s; by default they are not limited.
	Up, Down int
	// Connections bounds those that are up, HalfOpen the dials under way.
	Connections, HalfOpen int
	// Slots bounds the peers that are uploaded to at a time, over all
	// torrents. By default the torrents decide alone.
	Slots int
	// Buffer bounds the bytes of blocks that are requested or in memory.
	Buffer int64
	// Strict panics when something is given back that was not taken, which is
	// a mistake of the caller. Without it the mistake is ignored.
	Strict bool
}

// Limits bounds one torrent. Zero or less means that only the process's
// limits count.
type Limits struct {
	Up, Down    int // payload bytes/s
	Connections int
}

// Quota is what one process may use. It is not safe for concurrent use.
type Quota struct {
	strict      bool
	up, down    limiter
	slots       int
	connections pool
	dials       pool
	buffer      pool
	shares      []*Share // in the order of joining
}

// New returns the quota of a process without torrents.
func New(cfg Config) *Quota {
	q := &Quota{strict: cfg.Strict}
	q.SetLimits(0, cfg)
	return q
}

// SetLimits replaces the limits at now; Strict stays. What is taken beyond a
// lower limit is not called back. The torrents should be told (engine.InLimits),
// for the times at which they wanted to ask again may have changed.
func (q *Quota) SetLimits(now time.Duration, cfg Config) {
	q.up.setRate(now, cfg.Up)
	q.down.setRate(now, cfg.Down)
	q.slots = cfg.Slots
	q.connections.max = limit(int64(cfg.Connections), DefaultConnections)
	q.dials.max = limit(int64(cfg.HalfOpen), DefaultHalfOpen)
	q.buffer.max = limit(cfg.Buffer, DefaultBuffer)
}

// limit applies the convention of Config; 0 then means that there is no
// limit.
func limit(configured, def int64) int64 {
	switch {
	case configured == 0:
		return def
	case configured < 0:
		return 0
	}
	return configured
}

// Share is the part of one torrent. It implements engine.Grants.
type Share struct {
	quota       *Quota
	up, down    meter
	connections part
	dials       part
	buffer      part
	slotsWanted int
	slotsHeld   int
}

// Join adds a torrent.
func (q *Quota) Join(l Limits) *Share {
	s := &Share{quota: q}
	s.up.process, s.down.process = &q.up, &q.down
	s.SetLimits(0, l)
	q.shares = append(q.shares, s)
	return s
}

// SetLimits replaces the torrent's own limits at now. See Quota.SetLimits.
func (s *Share) SetLimits(now time.Duration, l Limits) {
	s.up.own.setRate(now, l.Up)
	s.down.own.setRate(now, l.Down)
	s.connections.max = int64(max(l.Connections, 0))
}

// Leave gives back all that the torrent holds. The Share must not be used any
// more.
func (s *Share) Leave(now time.Duration) {
	q := s.quota
	s.up.leave()
	s.down.leave()
	q.connections.leave(&s.connections)
	q.dials.leave(&s.dials)
	q.buffer.leave(&s.buffer)
	q.shares = slices.DeleteFunc(q.shares, func(other *Share) bool { return other == s })
}

// Upload asks to send want payload bytes now. It grants all or nothing: a
// block is not sent in parts. If nothing, again is the exact time at which the
// torrent's turn comes; the turn is kept for it a little while.
func (s *Share) Upload(now time.Duration, want int) (granted int, again time.Duration) {
	return s.up.ask(now, want)
}

// Download asks to request want payload bytes now, like Upload.
func (s *Share) Download(now time.Duration, want int) (granted int, again time.Duration) {
	return s.down.ask(now, want)
}

// Touch reads what Upload, Download and Buffer will need, and changes nothing: see
// engine.Engine.Touch. At depth 1 it reads what the quota keeps for all torrents.
func (s *Share) Touch(depth int) (nothing uint64) {
	switch depth {
	case 0:
		nothing = uint64(s.up.own.rate) + uint64(s.up.since) + uint64(s.down.own.rate) + uint64(s.down.since) + uint64(s.buffer.used)
	case 1:
		nothing = uint64(s.quota.up.rate) + uint64(s.quota.down.rate) + uint64(s.quota.buffer.used)
	}
	return nothing
}

// Connect asks for one more connection.
func (s *Share) Connect(now time.Duration) bool {
	return s.quota.connections.take(now, &s.connections, 1)
}

// Disconnect gives a connection back.
func (s *Share) Disconnect(time.Duration) {
	s.quota.giveBack(&s.quota.connections, &s.connections, 1)
}

// Dial asks for one more half-open dial.
func (s *Share) Dial(now time.Duration) bool { return s.quota.dials.take(now, &s.dials, 1) }

// DialDone gives a half-open dial back, whatever came of it.
func (s *Share) DialDone(time.Duration) { s.quota.giveBack(&s.quota.dials, &s.dials, 1) }

// Buffer asks for want more bytes of block memory.
func (s *Share) Buffer(now time.Duration, want int) bool {
	return s.quota.buffer.take(now, &s.buffer, int64(want))
}

// Unbuffer gives n bytes of block memory back.
func (s *Share) Unbuffer(_ time.Duration, n int) {
	s.quota.giveBack(&s.quota.buffer, &s.buffer, int64(n))
}

func (q *Quota) giveBack(p *pool, part *part, n int64) {
	if !p.giveBack(part, n) && q.strict {
		panic("quota: more was given back than was taken")
	}
}
