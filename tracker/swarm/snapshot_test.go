package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// restore enters a whole snapshot.
func restore(s *Swarms, now, age time.Duration, b []byte) error {
	for len(b) > 0 {
		rest, err := s.RestoreTorrent(now, age, b)
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// someSwarms has 900 announces in it, the last at the time returned.
func someSwarms(t testing.TB, cfg Config) (*Swarms, time.Duration) {
	s := newSwarms(t, cfg)
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 900 {
		req := randomRequest(r)
		copy(req.PeerID[:], req.Addr.String())
		s.Announce(time.Duration(i)*time.Second, req, &Peers{})
	}
	announce(s, 900*time.Second, from("10.0.1.1:1", completed))
	return s, 900 * time.Second
}

// A restored tracker gives the same replies and expires the same peers.
func TestSnapshot(t *testing.T) {
	for _, keepIDs := range []bool{false, true} {
		s, now := someSwarms(t, Config{KeepPeerIDs: keepIDs})
		snapshot := s.AppendSnapshot(now, nil)
		later := newSwarms(t, Config{KeepPeerIDs: keepIDs})
		if err := restore(later, 0, 0, snapshot); err != nil {
			t.Fatal(err)
		}
		checkLists(t, later)
		if s.Stats() != later.Stats() || s.Stats().Peers6 == 0 {
			t.Fatalf("%+v became %+v", s.Stats(), later.Stats())
		}
		last := newSwarms(t, Config{KeepPeerIDs: keepIDs})
		restore(last, 0, 0, later.AppendSnapshot(0, nil)) // each restoring turns the torrents round
		if again := last.AppendSnapshot(0, nil); !bytes.Equal(again, snapshot) {
			t.Error("a third snapshot differs")
		}
		counts, _ := s.Scrape(ubuntu)
		if got, ok := later.Scrape(ubuntu); !ok || got != counts || got.Downloaded == 0 {
			t.Errorf("%+v became %+v", counts, got)
		}
		if rep, _ := announce(later, 0, from("10.0.1.1:1", completed)); rep.Snatched || !rep.WasSeed {
			t.Errorf("it has forgotten who completed: %+v", rep)
		}
		gone := s.Expire(now + 50*time.Minute)
		if n := later.Expire(50 * time.Minute); n != gone || n == 0 {
			t.Errorf("%d peers expired, want %d", n, gone)
		}
	}
}

// snapshotInParts takes a snapshot, and has something done between its parts.
func snapshotInParts(t *testing.T, s *Swarms, now time.Duration, most int, between func()) (snapshot []byte) {
	var at SnapshotCursor
	for more := true; more; between() {
		var part []byte
		part, more = s.AppendSnapshotPart(now, &at, most, nil)
		one := newSwarms(t, Config{KeepPeerIDs: s.cfg.KeepPeerIDs})
		if err := restore(one, now, 0, part); err != nil {
			t.Fatal(err)
		}
		if st := one.Stats(); st.Peers4+st.Peers6 > most || more && st.Peers4+st.Peers6+st.Torrents < most {
			t.Fatalf("a part of at most %d has %+v", most, st)
		}
		snapshot = append(snapshot, part...)
	}
	return snapshot
}

// The parts of a snapshot are together all of it, wherever they end.
func TestSnapshotInParts(t *testing.T) {
	for most := 1; most < 40; most++ {
		s, now := someSwarms(t, Config{KeepPeerIDs: most%2 == 0})
		later := newSwarms(t, Config{KeepPeerIDs: most%2 == 0})
		if err := restore(later, now, 0, snapshotInParts(t, s, now, most, func() {})); err != nil {
			t.Fatal(err)
		}
		checkLists(t, later)
		if s.Stats() != later.Stats() {
			t.Errorf("in parts of %d, %+v became %+v", most, s.Stats(), later.Stats())
		}
	}
	if b, more := newSwarms(t, Config{}).AppendSnapshotPart(0, new(SnapshotCursor), 1, nil); more || len(b) > 0 {
		t.Errorf("of nothing: %x, %v", b, more)
	}
}

// Who stays while others leave between the parts is in the snapshot.
func TestSnapshotWhilePeersLeave(t *testing.T) {
	s, now := newSwarms(t, Config{}), time.Hour
	const numTorrents, numPeers = 40, 25
	of := func(torrent, peer int) *tracker.Request {
		req := from(fmt.Sprintf("10.0.%d.%d:1", torrent, peer), func(r *tracker.Request) { r.Left = int64(peer % 3) })
		req.InfoHash[0] = byte(torrent)
		return req
	}
	each := func(f func(torrent, peer int)) {
		for torrent := range numTorrents {
			for peer := range numPeers {
				f(torrent, peer)
			}
		}
	}
	each(func(torrent, peer int) { announce(s, now, of(torrent, peer)) })
	leaves := func(torrent, peer int) bool { return torrent%4 == 1 || peer%2 == 1 }
	r := rand.New(rand.NewPCG(1, 9))
	leave := func(torrent, peer int) {
		req := of(torrent, peer)
		req.Event = tracker.Stopped
		announce(s, now, req)
	}
	snapshot := snapshotInParts(t, s, now, 7, func() {
		torrent := r.IntN(numTorrents)
		for peer := range numPeers {
			if leaves(torrent, peer) {
				leave(torrent, peer)
			}
		}
		now += 10 * time.Second
		s.Expire(now) // torrents that are empty go, and others move
	})
	later := newSwarms(t, Config{})
	if err := restore(later, now, 0, snapshot); err != nil {
		t.Fatal(err)
	}
	each(func(torrent, peer int) {
		if rep, _ := announce(later, now, of(torrent, peer)); !rep.Known && !leaves(torrent, peer) {
			t.Fatalf("peer %d of torrent %d was there all the time, and is not in the snapshot", peer, torrent)
		}
	})
	if s.torrents.num == numTorrents {
		t.Error("no torrent has gone meanwhile")
	}
}

func TestSnapshotOfAnOldDay(t *testing.T) {
	s, now := someSwarms(t, Config{})
	snapshot := s.AppendSnapshot(now, nil)
	half := newSwarms(t, Config{})
	restore(half, 0, 55*time.Minute, snapshot)
	if n := half.numPeers(); n == 0 || n >= s.numPeers() {
		t.Errorf("of %d peers %d are left after 55 minutes", s.numPeers(), n)
	}
	half.Expire(10 * time.Minute)
	if n := half.numPeers(); n != 0 {
		t.Errorf("%d peers outlive the timeout", n)
	}
	none := newSwarms(t, Config{})
	restore(none, 0, 1000*time.Hour, snapshot)
	if st := none.Stats(); st.Peers4+st.Peers6 != 0 {
		t.Errorf("%+v", st)
	}
	none.Expire(time.Hour)
	if st := none.Stats(); st != (Stats{}) {
		t.Errorf("%+v after a sweep", st)
	}
}

// A snapshot never takes the place of what peers have said since, nor goes past
// the bounds.
func TestSnapshotIsOnlyAFiller(t *testing.T) {
	s, now := someSwarms(t, Config{KeepPeerIDs: true})
	before := s.Stats()
	if err := restore(s, now, 0, s.AppendSnapshot(now, nil)); err != nil || s.Stats() != before {
		t.Errorf("restored into itself: %+v became %+v, %v", before, s.Stats(), err)
	}
	few := newSwarms(t, Config{MaxPeers: 5, MaxTorrents: 2})
	if err := restore(few, 0, 0, s.AppendSnapshot(now, nil)); err != nil || few.numPeers() != 5 {
		t.Errorf("%+v, %v", few.Stats(), err)
	}
	checkLists(t, few)
}

func TestDamagedSnapshot(t *testing.T) {
	s, now := someSwarms(t, Config{})
	snapshot := s.AppendSnapshot(now, nil)
	for cut := 1; cut < len(snapshot); cut += 97 {
		if err := restore(newSwarms(t, Config{}), 0, 0, snapshot[:cut]); !errors.Is(err, ErrSnapshot) && cut > 0 {
			// It may be cut between two torrents.
			if rest := snapshot[cut:]; restore(newSwarms(t, Config{}), 0, 0, rest) != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
	}
	if _, err := SnapshotInfoHash(make([]byte, 19)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("%v", err)
	}
}

func FuzzRestore(f *testing.F) {
	for _, keepIDs := range []bool{false, true} {
		s, now := someSwarms(f, Config{KeepPeerIDs: keepIDs})
		snapshot := s.AppendSnapshot(now, nil)
		f.Add(snapshot[:500])
		f.Add(slices.Clip(snapshot[:100]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSwarms(t, Config{})
		restore(s, time.Hour, time.Minute, b)
		checkLists(t, s)
		if st := s.Stats(); st.Peers4+st.Peers6 != countMembers(s) {
			t.Errorf("%+v", st)
		}
	})
}
