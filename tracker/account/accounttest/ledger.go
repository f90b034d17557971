package accounttest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// testLedger keeps a ledger in the store through restarts at any moment, with
// batches that were stored and not heard of. What it has at the end is what the
// clients announced.
func testLedger(t *testing.T, h *harness) {
	rng := rand.New(rand.NewPCG(4, 4))
	var users []account.User
	for n := range byte(3) {
		users = append(users, h.user("u"+string('a'+rune(n)), n+1))
	}
	now, run := epoch, account.RunID{1}
	l := restart(t, h, now)
	clients := make([]ledger.Announce, 6)
	for i := range clients {
		clients[i] = ledger.Announce{User: users[i%3].ID, Torrent: ledger.TorrentID(i%2 + 1), PeerID: metainfo.PeerID{byte(i)}, Left: 5, Event: tracker.Started, Rate: ledger.NormalRate}
		l.Announce(now, &clients[i])
		clients[i].Event = tracker.None
	}
	drain(h, l, run)
	for range 200 {
		now += time.Duration(rng.IntN(100)) * time.Second
		a := &clients[rng.IntN(len(clients))]
		a.Uploaded += rng.Int64N(1000)
		l.Announce(now, a)
		switch b := l.Drain(); rng.IntN(8) {
		case 0, 1:
			if b != nil {
				h.flush(run, b)
				l.Ack()
			}
		case 2:
			if b != nil {
				h.flush(run, b)
			}
		case 3:
			run[1]++ // the process is killed, and begins again
			l = restart(t, h, now)
		}
	}
	want := map[ledger.UserID]int64{}
	for i := range clients {
		l.Announce(now, &clients[i])
		want[clients[i].User] += clients[i].Uploaded
	}
	drain(h, l, run)
	got := map[ledger.UserID]int64{}
	for _, u := range h.load().Users {
		got[u.ID] = u.Totals.Uploaded
	}
	if !maps.Equal(got, want) {
		t.Errorf("stored %v, announced %v", got, want)
	}
	torrents := map[ledger.TorrentID]bool{}
	h.must(h.Sessions(t.Context(), 0, func(s ledger.Session, _ time.Duration) error {
		torrents[s.Torrent] = true
		i := slices.IndexFunc(clients, func(a ledger.Announce) bool { return a.PeerID == s.PeerID })
		if s.Uploaded != clients[i].Uploaded {
			t.Errorf("client %d: counter %d stored, %d announced", i, s.Uploaded, clients[i].Uploaded)
		}
		return nil
	}))
	if len(torrents) != 2 {
		t.Error("sessions of torrents", torrents)
	}
}

func restart(t *testing.T, h *harness, now time.Duration) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(ledger.Config{MaxBatch: 2})
	h.must(err)
	h.must(h.Sessions(t.Context(), now-time.Hour, func(s ledger.Session, seededUntil time.Duration) error {
		l.Restore(now, s, seededUntil)
		return nil
	}))
	return l
}

func drain(h *harness, l *ledger.Ledger, run account.RunID) {
	h.t.Helper()
	for b := l.Drain(); b != nil; b = l.Drain() {
		h.flush(run, b)
		l.Ack()
	}
}
