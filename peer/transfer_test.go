package peer

import (
	"net/netip"
	"testing"
)

func TestSeedToLeecher(t *testing.T) {
	tt := newTestTorrent(t, 5<<20+12345, 256<<10)
	seeder := newTestClient(t, Config{})
	seed := add(t, seeder, tt.seedConfig(t))
	await(t, "the seed to be complete from the start", seed.Completed())

	cfg := tt.config()
	cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
	leech := add(t, newTestClient(t, Config{}), cfg)
	await(t, "the download", leech.Completed())
	tt.check(t, cfg.Storage)
	if got := leech.Stats(); got.Left != 0 || got.Downloaded != int64(len(tt.data)) || got.Name != "data" {
		t.Errorf("after the download: %+v", got)
	}
}
