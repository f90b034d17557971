package peer

import (
	"sync"
	"time"

	"github.com/shoal-bt/shoal/peer/quota"
)

// shares is the quota of the process, which the loops of all torrents ask. The
// lock is held for a few additions at a time, and never while anything waits.
type shares struct {
	mu    sync.Mutex
	quota *quota.Quota
}

func newShares(cfg Config) *shares {
	return &shares{quota: quota.New(quota.Config{
		Up: cfg.Up, Down: cfg.Down, Connections: cfg.MaxPeers, Buffer: cfg.BufferBytes,
	})}
}

// share is one torrent's part. It implements engine.Grants.
type share struct {
	all  *shares
	mine *quota.Share
}

// join adds a torrent with limits of its own, in bytes/s.
func (s *shares) join(up, down int) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &share{all: s, mine: s.quota.Join(quota.Limits{Up: up, Down: down})}
}

// leave gives back all that the torrent holds.
func (s *share) leave(now time.Duration) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.mine.Leave(now)
}

func (s *share) Upload(now time.Duration, want int) (granted int, again time.Duration) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Upload(now, want)
}

func (s *share) Download(now time.Duration, want int) (granted int, again time.Duration) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Download(now, want)
}

func (s *share) Slots(now time.Duration, want int) int {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Slots(now, want)
}

func (s *share) Connect(now time.Duration) bool {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Connect(now)
}

func (s *share) Disconnect(now time.Duration) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.mine.Disconnect(now)
}

func (s *share) Dial(now time.Duration) bool {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Dial(now)
}

func (s *share) DialDone(now time.Duration) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.mine.DialDone(now)
}

func (s *share) Buffer(now time.Duration, want int) bool {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.mine.Buffer(now, want)
}

func (s *share) Unbuffer(now time.Duration, n int) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.mine.Unbuffer(now, n)
}
