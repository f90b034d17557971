package ledger

import (
	"cmp"
	"errors"
	"time"
)

// The defaults of Config.
const (
	// DefaultTimeout is that of tracker/swarm.
	DefaultTimeout = time.Hour
	// DefaultMaxSessions is arbitrary: about 300 MiB.
	DefaultMaxSessions = 1 << 20
	// DefaultMaxIdle is how many deltas without a session a database that is
	// away leaves in memory, before the oldest lose their torrent: 16 MiB.
	DefaultMaxIdle = 1 << 16
	// DefaultMaxFindings is arbitrary. Findings of one kind, user and torrent
	// are one until they are stored.
	DefaultMaxFindings = 1024
	// DefaultMaxSpeed is 10 Gbit/s, in bytes per second: faster lines at home
	// are rare, and what a finding keeps back can be credited by hand.
	DefaultMaxSpeed = 10_000_000_000 / 8
	// DefaultMaxBatch keeps the making of a batch, which holds up announces,
	// within a few milliseconds.
	DefaultMaxBatch = 4096
)

// Bounds and times that nobody needs to choose.
const (
	// maxClients bounds the sessions of a user on one torrent. Two homes, a
	// server and a few restarts without a stop fit; a flood of invented peer
	// ids does not.
	maxClients = 8
	// lateWindow is how long after an announce another one with lower
	// counters is taken for one that was overtaken on its way. Clients wait
	// for an answer for up to a minute.
	lateWindow = time.Minute
	// speedSlack is added to the time between two announces before a speed
	// is called absurd: one may have been slower on its way than the other.
	speedSlack = 10 * time.Second
	// settleEvery is how often a session that changes nothing is stored,
	// so that a flood of announces is not a flood of writes.
	settleEvery = 10 * time.Minute
	// suspectLen is how many bytes, of what few words explain, make a finding:
	// a large piece, or one that was downloaded again.
	suspectLen = 64 << 20
)

// Config says how a Ledger behaves. Zero means default.
type Config struct {
	// Timeout is how long a session stays after its last announce. Choose
	// twice the interval that announcers are told.
	Timeout time.Duration
	// MaxSessions bounds the sessions. Past it a new one is not credited.
	MaxSessions int
	// MaxIdle bounds the deltas that wait to be stored and have no session
	// any more. Past it the oldest count for their user alone.
	MaxIdle int
	// MaxFindings bounds the findings that wait to be stored. Past it further
	// ones are only counted.
	MaxFindings int
	// MaxSpeed, in bytes per second, is what no client can do; what an
	// announce claims beyond it is not credited but found.
	MaxSpeed int64
	// MaxBatch bounds the deltas of one batch.
	MaxBatch int
}

func (c *Config) setDefaults() {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.MaxSessions = cmp.Or(c.MaxSessions, DefaultMaxSessions)
	c.MaxIdle = cmp.Or(c.MaxIdle, DefaultMaxIdle)
	c.MaxFindings = cmp.Or(c.MaxFindings, DefaultMaxFindings)
	c.MaxSpeed = cmp.Or(c.MaxSpeed, DefaultMaxSpeed)
	c.MaxBatch = cmp.Or(c.MaxBatch, DefaultMaxBatch)
}

func (c *Config) validate() error {
	if c.Timeout < 0 || c.MaxSessions < 0 || c.MaxIdle < 0 || c.MaxFindings < 0 || c.MaxSpeed < 0 || c.MaxBatch < 0 {
		return errors.New("ledger: a bound is negative")
	}
	return nil
}
