package server

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// numShards spreads the torrents over swarms with a lock each. It is a few
// times the cores of a large machine, so that two announces seldom meet.
const numShards = 32

// store is the swarms of all torrents, for concurrent use.
type store struct{ shards [numShards]shard }

type shard struct {
	mu     sync.Mutex
	swarms *swarm.Swarms
	_      [48]byte // a cache line (64 bytes) for each lock
}

// newStore divides cfg's bounds among the shards; each has a random source of
// its own, drawn from cfg.Rand.
func newStore(cfg swarm.Config) (*store, error) {
	setShare(&cfg.MaxTorrents, swarm.DefaultMaxTorrents)
	setShare(&cfg.MaxPeers, swarm.DefaultMaxPeers)
	st := new(store)
	for i := range st.shards {
		own := cfg
		own.Rand = rand.New(rand.NewChaCha8(randomSeed(cfg.Rand)))
		swarms, err := swarm.New(own)
		if err != nil {
			return nil, err
		}
		st.shards[i].swarms = swarms
	}
	return st, nil
}

// setShare makes of a bound of all shards that of one. What an info-hash is,
// is not up to us, so the shares are generous by a half.
func setShare(bound *int, def int) {
	if *bound == 0 {
		*bound = def
	}
	if *bound > 0 {
		*bound = *bound/numShards*3/2 + 1
	}
}

func randomSeed(r *rand.Rand) (seed [32]byte) {
	for i := range seed {
		seed[i] = byte(r.Uint32())
	}
	return seed
}

// of returns the shard of a torrent. An info-hash is a hash: any byte will
// do.
func (st *store) of(h metainfo.InfoHash) *shard { return &st.shards[h[len(h)-1]%numShards] }

func (st *store) announce(now time.Duration, req *tracker.Request, dst *swarm.Peers) swarm.Reply {
	sh := st.of(req.InfoHash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.swarms.Announce(now, req, dst)
}

func (st *store) scrape(h metainfo.InfoHash) (tracker.ScrapeStats, bool) {
	sh := st.of(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.swarms.Scrape(h)
}

// Swarm returns the counts of a torrent's swarm at this moment. ok is false if
// nobody has announced it.
func (s *Server) Swarm(h metainfo.InfoHash) (stats tracker.ScrapeStats, ok bool) {
	return s.store.scrape(h)
}

func (st *store) expire(now time.Duration) {
	for i := range st.shards {
		sh := &st.shards[i]
		sh.mu.Lock()
		sh.swarms.Expire(now)
		sh.mu.Unlock()
	}
}

func (st *store) stats() (sum swarm.Stats) {
	for i := range st.shards {
		sh := &st.shards[i]
		sh.mu.Lock()
		one := sh.swarms.Stats()
		sh.mu.Unlock()
		sum.Torrents += one.Torrents
		sum.Seeds += one.Seeds
		sum.Leechers += one.Leechers
		sum.Peers4 += one.Peers4
		sum.Peers6 += one.Peers6
	}
	return sum
}
