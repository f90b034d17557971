package ledger

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// database applies batches as a store must: each once, all of it or nothing.
type database struct {
	seq      uint64
	sums     map[pair]Delta
	sessions map[SessionKey]Session
}

func newDatabase() *database {
	return &database{sums: map[pair]Delta{}, sessions: map[SessionKey]Session{}}
}

func (db *database) apply(b *Batch) {
	if b.Seq <= db.seq {
		return
	}
	db.seq = b.Seq
	for _, d := range b.Deltas {
		sum := db.sums[pair{d.User, d.Torrent}]
		sum.merge(&d)
		sum.CompletedAt = max(sum.CompletedAt, d.CompletedAt)
		sum.SeededUntil = max(sum.SeededUntil, d.SeededUntil)
		db.sums[pair{d.User, d.Torrent}] = sum
	}
	for _, s := range b.Sessions {
		db.sessions[s.SessionKey] = s
	}
	for _, key := range b.Ended {
		delete(db.sessions, key)
	}
}

// restart is a new ledger from what the database has.
func (db *database) restart(t *testing.T, now time.Duration) *Ledger {
	l := newLedger(t, Config{})
	db.seq = 0 // a new run
	order := func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.User, b.User), cmp.Compare(a.Torrent, b.Torrent), cmp.Compare(a.PeerID[19], b.PeerID[19]))
	}
	for _, s := range slices.SortedFunc(maps.Values(db.sessions), order) {
		l.Restore(now, s, db.sums[s.pair()].SeededUntil)
	}
	return l
}

// naive counts like the ledger, but keeps everything, and every second of
// seeding one by one.
type naive struct {
	sessions map[SessionKey]*naiveSession
	sums     map[pair]*naiveSum
}

type naiveSession struct {
	up, down, left int64
	seen           time.Duration
}

type naiveSum struct {
	up, down, rawUp, rawDown int64
	seeded                   map[time.Duration]bool
	completed                bool
}

func (n *naive) announce(now time.Duration, a *Announce) {
	sum := n.sums[a.pair()]
	if sum == nil {
		sum = &naiveSum{seeded: map[time.Duration]bool{}}
		n.sums[a.pair()] = sum
	}
	s := n.sessions[a.key()]
	switch {
	case s == nil || now-s.seen > time.Hour:
		delete(n.sessions, a.key())
		if a.Event == tracker.Stopped {
			return
		}
		n.sessions[a.key()] = &naiveSession{a.Uploaded, a.Downloaded, a.Left, now}
	case (a.Uploaded < s.up || a.Downloaded < s.down) && now < s.seen+time.Minute: // late
	case a.Uploaded < s.up || a.Downloaded < s.down || a.Event == tracker.Started:
		*s = naiveSession{a.Uploaded, a.Downloaded, a.Left, now}
	default:
		up, down := a.Uploaded-s.up, a.Downloaded-s.down
		sum.rawUp, sum.rawDown = sum.rawUp+up, sum.rawDown+down
		sum.up += up * int64(a.Rate.UpPercent) / 100
		sum.down += down * int64(a.Rate.DownPercent) / 100
		for second := s.seen; s.left == 0 && a.Left == 0 && second < now; second += time.Second {
			sum.seeded[second] = true
		}
		*s = naiveSession{a.Uploaded, a.Downloaded, a.Left, now}
	}
	if a.Event == tracker.Completed {
		sum.completed = true
	}
	if a.Event == tracker.Stopped {
		delete(n.sessions, a.key())
	}
}

// Random announces, stored by batches of which some are tried twice, come to
// the sums of a model that keeps everything; and nothing is ever negative.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		l := newLedger(t, Config{MaxBatch: 1 + rng.IntN(5)})
		db := newDatabase()
		numClients := 1 + rng.IntN(3)
		n := &naive{map[SessionKey]*naiveSession{}, map[pair]*naiveSum{}}
		now := epoch
		for range 300 {
			now += time.Duration(rng.IntN(600)) * time.Second
			if rng.IntN(20) == 0 {
				now += 50 * time.Minute
			}
			a := randomAnnounce(rng, numClients)
			copied := *a
			n.announce(now, &copied)
			l.Announce(now, a)
			if rng.IntN(4) == 0 {
				l.Expire(now)
			}
			flush(rng, l, db, rng.IntN(3))
		}
		l.Expire(now + 2*time.Hour)
		flush(rng, l, db, 1000)
		compare(t, seed, numClients, n, db)
		if len(db.sessions)+len(l.pairs)+len(l.torrents)+l.idle.Len()+l.queue.Len() > 0 {
			t.Fatalf("seed %d: sessions or pairs are left over", seed)
		}
		if l.Standing(1, 1).Downloading != 0 {
			t.Fatalf("seed %d: nobody downloads", seed)
		}
	}
}

func randomAnnounce(rng *rand.Rand, numClients int) *Announce {
	return &Announce{
		User: UserID(1 + rng.IntN(2)), Torrent: TorrentID(1 + rng.IntN(2)), PeerID: peerID(byte(rng.IntN(numClients))),
		Uploaded: rng.Int64N(1000) * rng.Int64N(1000), Downloaded: rng.Int64N(3), Left: max(rng.Int64N(5)-2, 0),
		Event: max(tracker.Event(rng.IntN(8)), 4) - 4, // mostly none
		Rate:  Rate{uint32(rng.IntN(3)) * 75, uint32(rng.IntN(3)) * 50},
	}
}

// flush stores a few batches; now and then one is stored, and that is not
// heard of.
func flush(rng *rand.Rand, l *Ledger, db *database, most int) {
	for range most {
		b := l.Drain()
		if b == nil {
			return
		}
		if rng.IntN(4) > 0 {
			db.apply(b)
		}
		if rng.IntN(2) > 0 {
			db.apply(l.Drain())
			l.Ack()
		}
	}
}

func compare(t *testing.T, seed uint64, numClients int, n *naive, db *database) {
	t.Helper()
	for p, want := range n.sums {
		got := db.sums[p]
		if got.Totals != (Totals{want.up, want.down}) || got.RawUploaded != want.rawUp || got.RawDownloaded != want.rawDown {
			t.Fatalf("seed %d: %v: bytes %+v, want %+v", seed, p, got, want)
		}
		// Of several clients' seeding that was told in another order, some is
		// lost.
		seeded := time.Duration(len(want.seeded)) * time.Second
		if got.SeedTime < 0 || got.SeedTime > seeded || numClients == 1 && got.SeedTime != seeded {
			t.Fatalf("seed %d: %v: seeded %v, want %v", seed, p, got.SeedTime, seeded)
		}
		if got.CompletedAt > 0 != want.completed {
			t.Fatalf("seed %d: %v: completed %v, want %v", seed, p, got.CompletedAt, want.completed)
		}
	}
}

// A client's counters rise while the ledger is killed again and again, at any
// moment between two flushes. Once it is stored that a client is there, not a
// byte of his is lost, and none is counted twice.
func TestKilledLedgerLosesNothing(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l, db, now := newLedger(t, Config{}), newDatabase(), epoch
		var clients [3]Announce
		for i := range clients {
			clients[i] = *of(byte(i), 0, 0, 5, tracker.Started)
			l.Announce(now, &clients[i])
			clients[i].Event = tracker.None
		}
		db.apply(l.Drain())
		for range 100 {
			now += time.Duration(rng.IntN(100)) * time.Second
			a := &clients[rng.IntN(len(clients))]
			a.Uploaded += rng.Int64N(1000)
			l.Announce(now, a)
			b := l.Drain()
			if stored := rng.IntN(2) == 0; b != nil && stored {
				db.apply(b)
				if heardOf := rng.IntN(2) == 0; heardOf {
					l.Ack()
				}
			}
			if rng.IntN(10) == 0 {
				l = db.restart(t, now)
			}
		}
		var want int64
		for i := range clients {
			l.Announce(now+time.Minute, &clients[i])
			want += clients[i].Uploaded
		}
		for b := l.Drain(); b != nil; b = l.Drain() {
			db.apply(b)
			l.Ack()
		}
		if got := db.sums[pair{1, 1}].Totals.Uploaded; got != want {
			t.Fatalf("seed %d: stored %d, announced %d", seed, got, want)
		}
	}
}

// The same announces make the same batches.
func TestSameInputsSameBatches(t *testing.T) {
	run := func() (batches []*Batch) {
		rng := rand.New(rand.NewPCG(7, 7))
		l, now := newLedger(t, Config{MaxBatch: 3, MaxIdle: 2}), epoch
		for range 200 {
			now += time.Duration(rng.IntN(300)) * time.Second
			l.Announce(now, randomAnnounce(rng, 3))
			if rng.IntN(20) == 0 {
				batches = append(batches, l.Drain())
				l.Ack()
			}
		}
		return batches
	}
	if a, b := run(), run(); !reflect.DeepEqual(a, b) {
		t.Error("two runs differ")
	}
}

func BenchmarkAnnounce(b *testing.B) {
	l := newLedger(b, Config{})
	const numUsers, numTorrents = 10_000, 10
	now := epoch
	for i := 0; b.Loop(); i++ {
		now += time.Microsecond
		round := int64(i / (numUsers * numTorrents))
		l.Announce(now, &Announce{User: UserID(i % numUsers), Torrent: TorrentID(i / numUsers % numTorrents), Uploaded: round, Left: 0, Rate: NormalRate})
		if i%100_000 == 0 {
			drainAll(l)
		}
	}
	b.ReportAllocs()
}

// A network delays, repeats and reorders the announces of clients whose counters
// rise. As long as nothing takes a minute, what counts is each client's last
// word, however it came about.
func TestUnreliableNetwork(t *testing.T) {
	type packet struct {
		at time.Duration
		a  Announce
	}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var packets []packet
		said := map[UserID]int64{}
		var clients [4]Announce
		for i := range clients {
			clients[i] = Announce{User: UserID(i%2 + 1), Torrent: 1, PeerID: peerID(byte(i)), Left: 5, Rate: NormalRate}
			packets = append(packets, packet{epoch, clients[i]})
		}
		now := epoch + time.Minute
		for range 100 {
			now += time.Duration(rng.IntN(20)) * time.Second
			a := &clients[rng.IntN(len(clients))]
			by := rng.Int64N(1000)
			a.Uploaded += by
			said[a.User] += by
			for range 1 + rng.IntN(3) {
				packets = append(packets, packet{now + time.Duration(rng.IntN(25))*time.Second, *a})
			}
		}
		slices.SortStableFunc(packets, func(a, b packet) int { return cmp.Compare(a.at, b.at) })
		l, db := newLedger(t, Config{}), newDatabase()
		for _, p := range packets {
			l.Announce(p.at, &p.a)
			flush(rng, l, db, rng.IntN(3))
		}
		flush(rng, l, db, 1000)
		for user, want := range said {
			if got := db.sums[pair{user, 1}].Totals.Uploaded; got != want {
				t.Fatalf("seed %d: user %d has %d, his clients said %d", seed, user, got, want)
			}
		}
	}
}
