package swarm

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// TestTorrentsComeAndGo fills and empties thousands of torrents of all lengths,
// so that blocks, large lists and torrents move to each other's places, and
// looks whether everything is found where it should be.
func TestTorrentsComeAndGo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s := newSwarms(t, Config{Timeout: time.Hour, KeepPeerIDs: true})
	now := time.Duration(0)
	var peers Peers
	for round := range 6 {
		for range 20_000 {
			var h metainfo.InfoHash
			binary.BigEndian.PutUint32(h[:], uint32(r.ExpFloat64()*200))
			ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(40))})
			if r.IntN(4) == 0 {
				ip = netip.AddrFrom16([16]byte{0: 0x20, 15: byte(r.IntN(40))})
			}
			req := &tracker.Request{InfoHash: h, Left: int64(r.IntN(3)), Addr: netip.AddrPortFrom(ip, uint16(1+r.IntN(2))), NumWant: 3}
			if r.IntN(10) < 1+2*(round%2) {
				req.Event = tracker.Stopped
			}
			peers.Reset()
			s.Announce(now, req, &peers)
		}
		checkLists(t, s)
		if st := s.Stats(); st.Peers4+st.Peers6 != countMembers(s) {
			t.Fatalf("%+v, but %d peers are there", st, countMembers(s))
		}
		now += time.Duration(20+round*15) * time.Minute
		for range sweepsPerTimeout {
			s.Expire(now)
			now += s.cfg.Timeout / sweepsPerTimeout
		}
		checkLists(t, s)
	}
	s.Expire(now + 2*time.Hour)
	s.Expire(now + 4*time.Hour)
	if st := s.Stats(); st != (Stats{}) {
		t.Errorf("at the end: %+v", st)
	}
	if n := len(s.torrents.chunks); n > 2 || len(s.v4.larges) != 0 {
		t.Errorf("%d chunks of torrents and %d large lists are kept", n, len(s.v4.larges))
	}
	for num := range s.v4.slabs {
		if n := len(s.v4.slabs[num].chunks); n > 2 {
			t.Errorf("%d chunks for lists of %d are kept", n, num)
		}
	}
}

func countMembers(s *Swarms) (num int) {
	for i := range s.torrents.num {
		num += len(s.v4.peers(&s.torrents.at(i).v4).members) + len(s.v6.peers(&s.torrents.at(i).v6).members)
	}
	return num
}
