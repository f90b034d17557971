package engine

import "time"

// Engine: see the package comment. (interface being filled in by the lead)
type Engine struct{}

// New returns an engine; it fails if cfg is inconsistent.
func New(cfg Config) (*Engine, error) { return nil, nil }

// Receive tells the engine one thing that happened at now.
func (e *Engine) Receive(now time.Duration, in Input) {}

// Advance runs the timers that are due at now.
func (e *Engine) Advance(now time.Duration) {}

// NextTimeout is the earliest deadline the engine has.
func (e *Engine) NextTimeout() (time.Duration, bool) { return 0, false }

// Next returns the next thing to do.
func (e *Engine) Next() (Output, bool) { return Output{}, false }

// Stats returns a snapshot.
func (e *Engine) Stats(now time.Duration) Stats { return Stats{} }

// AppendPeers appends a snapshot of every connection, in the order in which they came up.
func (e *Engine) AppendPeers(dst []PeerStats, now time.Duration) []PeerStats { return dst }
