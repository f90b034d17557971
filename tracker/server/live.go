package server

import (
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// cfg is the Config of this moment. A request asks for it once, so that it is
// answered by one of them.
func (s *Server) cfg() *Config { return s.live.Load() }

// Change has the Server go on with another Config, from the next request on:
// the lists, intervals, numbers of peers, proxies and trusted networks,
// MaxScrape and MaxConnsPerAddr. Sockets, connections and peers stay, and so
// does what needs a new Server: Private, API, KeepPeerIDs, MaxTorrents, MaxPeers,
// MaxConns, StateFile and Logger. After an error nothing has changed.
func (s *Server) Change(cfg Config) error {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	old := s.cfg()
	cfg.API = old.API
	cfg.Private, cfg.KeepPeerIDs, cfg.MaxTorrents, cfg.MaxPeers = old.Private, old.KeepPeerIDs, old.MaxTorrents, old.MaxPeers
	cfg.MaxConns, cfg.StateFile, cfg.Logger = old.MaxConns, old.StateFile, old.Logger
	if err := s.store.adjust(swarm.Config{
		Timeout: 2 * cfg.Interval, NumWant: cfg.NumWant, MaxNumWant: cfg.MaxNumWant,
		NearBits4: cfg.NearBits4, NearBits6: cfg.NearBits6,
	}); err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	s.live.Store(&cfg)
	return nil
}

// adjust gives all shards the times and numbers of cfg. One that refuses them
// is the first: they are all alike.
func (st *store) adjust(cfg swarm.Config) error {
	for i := range st.shards {
		if err := st.shards[i].adjust(cfg); err != nil {
			return err
		}
	}
	return nil
}

func (sh *shard) adjust(cfg swarm.Config) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.swarms.Adjust(cfg)
}

// tracks reports whether the lists let a torrent be tracked.
func (c *Config) tracks(h metainfo.InfoHash) error {
	switch {
	case c.Whitelist != nil && !c.Whitelist.Has(h):
		return errNotTracked
	case c.Blacklist != nil && c.Blacklist.Has(h):
		return errBlacklisted
	}
	return nil
}
