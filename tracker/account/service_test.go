package account

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// fakeStore is as much of a Store as a Service uses. It can be made to fail.
type fakeStore struct {
	Store
	mu       sync.Mutex
	tables   Tables
	seq      uint64
	uploaded map[ledger.UserID]int64
	sessions map[ledger.SessionKey]ledger.Session
	flushes  int
	away     bool          // nothing works
	deaf     bool          // flushes work and report an error
	hang     chan struct{} // if not nil, flushes wait for it
}

var errAway = errors.New("the database is away")

func (f *fakeStore) locked(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errAway
	}
	return do()
}

func (f *fakeStore) Load(context.Context) (t *Tables, err error) {
	err = f.locked(func() error {
		copied := f.tables
		copied.Users = append([]UserTotals(nil), f.tables.Users...)
		for i := range copied.Users {
			copied.Users[i].Totals.Uploaded += f.uploaded[copied.Users[i].ID]
		}
		t = &copied
		return nil
	})
	return t, err
}

func (f *fakeStore) AddKey(context.Context, StoredKey, KeyHash) error { return nil }

func (f *fakeStore) Revision(context.Context) (revision int64, err error) {
	err = f.locked(func() error { revision = f.tables.Revision; return nil })
	return revision, err
}

func (f *fakeStore) HitAndRuns(context.Context, time.Duration, ledger.HitAndRun) (map[ledger.UserID]int, error) {
	return nil, nil
}

func (f *fakeStore) Sessions(_ context.Context, since time.Duration, yield func(ledger.Session, time.Duration) error) error {
	for _, s := range f.sessions {
		if s.At >= since {
			yield(s, 0)
		}
	}
	return nil
}

func (f *fakeStore) Flush(ctx context.Context, _ RunID, b *ledger.Batch) error {
	if f.hang != nil {
		<-f.hang
	}
	return f.locked(func() error {
		if b.Seq > f.seq {
			f.seq = b.Seq
			f.flushes++
			for _, d := range b.Deltas {
				f.uploaded[d.User] += d.Totals.Uploaded
			}
			for _, s := range b.Sessions {
				f.sessions[s.SessionKey] = s
			}
		}
		if f.deaf {
			return errAway
		}
		return nil
	})
}

// change changes the tables as a command does.
func (f *fakeStore) change(do func(*Tables)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.tables)
	f.tables.Revision++
}

func (f *fakeStore) set(away, deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.deaf = away, deaf
}

func (f *fakeStore) sum(id ledger.UserID) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uploaded[id]
}

// The keys of the tests: of users 1 and 2, of user 1 for torrent 1, of user 3
// who is disabled.
var annasKey, bertasKey, singleKey, disabledKey = Key{1}, Key{2}, Key{3}, Key{4}

func newFakeStore() *fakeStore {
	return &fakeStore{
		uploaded: map[ledger.UserID]int64{}, sessions: map[ledger.SessionKey]ledger.Session{},
		tables: Tables{
			Revision: 1,
			Users:    []UserTotals{{User: User{ID: 1, Name: "anna"}}, {User: User{ID: 2, Name: "berta"}}, {User: User{ID: 3, Name: "carla", State: Disabled}}},
			Keys:     []StoredKey{{annasKey.Hash(), 1, 0}, {bertasKey.Hash(), 2, 0}, {singleKey.Hash(), 1, 1}, {disabledKey.Hash(), 3, 0}},
			Torrents: []Torrent{{ID: 1, InfoHash: metainfo.InfoHash{1}}, {ID: 2, InfoHash: metainfo.InfoHash{2}}},
		},
	}
}

func newService(t testing.TB, cfg Config) *Service {
	t.Helper()
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is an announce of a torrent.
func of(torrent byte, uploaded, left int64, event tracker.Event) *tracker.Request {
	return &tracker.Request{InfoHash: metainfo.InfoHash{torrent}, PeerID: metainfo.PeerID{'-', 'T', 'R'}, Uploaded: uploaded, Left: left, Event: event}
}

func wantAnnounce(t *testing.T, s *Service, key Key, req *tracker.Request, want error) {
	t.Helper()
	if err := s.Announce(key.Reveal(), req); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestWhoMayAnnounce(t *testing.T) {
	s := newService(t, Config{Store: newFakeStore(), Rules: ledger.Rules{Slots: 1}})
	started := func(torrent byte) *tracker.Request { return of(torrent, 0, 5, tracker.Started) }
	wantAnnounce(t, s, annasKey, started(1), nil)
	wantAnnounce(t, s, annasKey, started(2), ledger.ErrSlots)
	wantAnnounce(t, s, singleKey, started(1), nil)
	wantAnnounce(t, s, singleKey, started(2), ErrOtherKey)
	wantAnnounce(t, s, Key{9}, started(1), ErrKey)
	wantAnnounce(t, s, bertasKey, started(3), ErrTorrent)
	wantAnnounce(t, s, disabledKey, started(1), ErrDisabled)
	if err := s.Announce("nonsense", started(1)); err != ErrKey {
		t.Error(err)
	}
	for n := range byte(8) {
		req := of(1, 0, 0, tracker.Started)
		req.PeerID[19] = n + 1
		want := error(nil)
		if n == 7 {
			want = ErrClients
		}
		wantAnnounce(t, s, annasKey, req, want) // he has one client already
	}
	for key, want := range map[Key]error{annasKey: nil, singleKey: nil, disabledKey: ErrDisabled, {9}: ErrKey} {
		if err := s.Check(key.Reveal()); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if r, ok := s.LastRefusal(2); !ok || r.Reason != ErrTorrent.Error() || r.InfoHash != (metainfo.InfoHash{3}) {
		t.Errorf("%+v", r)
	}
	if st := s.Stats(); st.Refused != 7 || st.Users != 3 || st.Keys != 4 || st.Torrents != 2 {
		t.Errorf("%+v", st)
	}
}

// A key that stands in a .torrent file is good for announces only.
func TestAuthenticate(t *testing.T) {
	s := newService(t, Config{Store: newFakeStore()})
	for key, want := range map[Key]error{annasKey: nil, singleKey: ErrKey, disabledKey: ErrDisabled, {9}: ErrKey} {
		u, err := s.Authenticate(key.Reveal())
		if err != want || (err == nil) != (u.Name == "anna") {
			t.Errorf("%q, %v, want %v", u.Name, err, want)
		}
	}
	if _, err := s.Authenticate(""); err != ErrKey {
		t.Error(err)
	}
	if u, ok := s.UserByID(2); !ok || u.Name != "berta" {
		t.Errorf("%+v", u)
	}
	if torrent, ok := s.TorrentByID(2); !ok || torrent.InfoHash[0] != 2 {
		t.Errorf("%+v", torrent)
	}
	_, isUser := s.UserByID(9)
	_, isTorrent := s.TorrentByID(9)
	if isUser || isTorrent {
		t.Error("found what is not there")
	}
}

// A key that was just added is good before the tables are read again, and no
// longer than the tables say.
func TestAddKey(t *testing.T) {
	store := newFakeStore()
	s := newService(t, Config{Store: store})
	key := annasKey.ForTorrent(metainfo.InfoHash{1})
	wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), ErrKey)
	if err := s.AddKey(t.Context(), StoredKey{key.Hash(), 1, 1}, KeyHash{}); err != nil {
		t.Fatal(err)
	}
	wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), nil)
	wantAnnounce(t, s, key, of(2, 0, 5, tracker.Started), ErrOtherKey)
	if err := s.Check(key.Reveal()); err != nil {
		t.Error(err)
	}
	if err := s.Reload(t.Context()); err != nil { // the fake has not kept it
		t.Fatal(err)
	}
	wantAnnounce(t, s, key, of(1, 0, 5, tracker.None), ErrKey)
}

// What a command changes holds within a tenth of a second: a client that was
// refused asks again after half an hour only. Tables that take long to read are
// not read all the time.
func TestChangesHoldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, stop := runningService(t)
		key := Key{77}
		addKey := func(to *Tables) { to.Keys = append(slices.Clone(to.Keys), StoredKey{Hash: key.Hash(), User: 1}) }
		store.change(addKey)
		wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), ErrKey)
		time.Sleep(lookEvery + 1)
		synctest.Wait()
		wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), nil)

		s.writing.Lock()
		s.reloadTook = time.Second
		s.writing.Unlock()
		key = Key{78}
		store.change(addKey)
		time.Sleep(5 * lookEvery)
		synctest.Wait()
		wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), ErrKey)
		time.Sleep(DefaultFlushEvery) // which looks in any case
		synctest.Wait()
		wantAnnounce(t, s, key, of(1, 0, 5, tracker.Started), nil)
		stop()
	})
}

// Refusals are counted by their kind, and other errors as what they are.
func TestStatsOfRefusals(t *testing.T) {
	s := newService(t, Config{Store: newFakeStore(), Rules: ledger.Rules{Slots: 1}})
	for _, torrent := range []byte{1, 2, 2, 3} {
		s.Announce(annasKey.Reveal(), of(torrent, 0, 5, tracker.Started))
	}
	s.Announce("nonsense", of(1, 0, 5, tracker.Started))
	got := s.Stats().RefusedBy
	if want := (map[string]uint64{"slots": 2, "torrent": 1, "key": 1}); !maps.Equal(nonZero(got), want) {
		t.Errorf("%v, want %v", got, want)
	}
	if len(got) != len(refusals)+1 {
		t.Errorf("%d kinds, of which none may be missing", len(got))
	}
}

func nonZero(of map[string]uint64) map[string]uint64 {
	of = maps.Clone(of)
	maps.DeleteFunc(of, func(_ string, n uint64) bool { return n == 0 })
	return of
}

// What the database does is told: how long flushes took, and since when none
// has worked.
func TestStatsOfFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, stop := runningService(t)
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
		time.Sleep(DefaultFlushEvery + 1)
		synctest.Wait()
		if st := s.Stats(); st.Flushes.Count != 1 || st.Flushes.Within[0] != 1 || st.FlushErrors != 0 || st.LastStoreAge > DefaultFlushEvery {
			t.Errorf("%+v", st)
		}
		store.set(true, false)
		wantAnnounce(t, s, annasKey, of(1, 10, 5, tracker.None), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := s.Stats(); st.FlushErrors == 0 || st.LoadErrors == 0 || st.Flushes.Count != 1 || st.LastStoreAge < time.Minute {
			t.Errorf("%+v", st)
		}
		stop()
	})
}

// Who is refused by the rules and has a session goes on being counted: he knows
// peers and downloads from them.
func TestRefusedBytesCount(t *testing.T) {
	store := newFakeStore()
	store.tables.Users[0].Totals.Downloaded = 999
	s := newService(t, Config{Store: store, Rules: ledger.Rules{MinRatioPercent: 100, RatioFreeLen: 1000}})
	req := of(1, 0, 5, tracker.Started)
	wantAnnounce(t, s, annasKey, req, nil)
	req.Downloaded, req.Event = 10, tracker.None
	wantAnnounce(t, s, annasKey, req, nil) // the rules see what was before
	req.Downloaded = 50
	wantAnnounce(t, s, annasKey, req, ledger.ErrRatio)
	if got := s.ledger.Standing(1, 1).Totals.Downloaded; got != 999+50 {
		t.Errorf("downloaded %d", got)
	}
	wantAnnounce(t, s, annasKey, of(2, 0, 5, tracker.Started), ledger.ErrRatio)
	wantAnnounce(t, s, annasKey, of(2, 0, 0, tracker.Started), nil)
}

// running runs a Service in a bubble until the function it returns is called.
func running(t *testing.T, s *Service) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// runningService runs a Service that has all defaults.
func runningService(t *testing.T) (store *fakeStore, s *Service, stop func() error) {
	t.Helper()
	store = newFakeStore()
	s = newService(t, Config{Store: store})
	return store, s, running(t, s)
}

func TestFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, stop := runningService(t)
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
		wantAnnounce(t, s, annasKey, of(1, 10, 5, tracker.None), nil)
		time.Sleep(DefaultFlushEvery + 1)
		synctest.Wait()
		if got := store.sum(1); got != 10 {
			t.Errorf("stored %d after two seconds", got)
		}
		wantAnnounce(t, s, annasKey, of(1, 15, 5, tracker.None), nil)
		if err := stop(); err != nil || store.sum(1) != 15 {
			t.Errorf("stored %d at the end, %v", store.sum(1), err)
		}
		// The next run goes on from where this one ended.
		again := newService(t, Config{Store: store})
		store.seq = 0 // another run's
		wantAnnounce(t, again, annasKey, of(1, 20, 5, tracker.None), nil)
		if err := again.flush(t.Context()); err != nil || store.sum(1) != 20 {
			t.Errorf("stored %d after a restart, %v", store.sum(1), err)
		}
	})
}

// While the database is away for an hour, announces are answered and counted;
// afterwards everything is there, and once. A line a minute says so.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		var log bytes.Buffer
		s := newService(t, Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := running(t, s)
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
		store.set(true, false)
		for n := range int64(60) {
			time.Sleep(time.Minute)
			if n == 30 {
				store.set(false, true) // it stores, and the answers are lost
			}
			wantAnnounce(t, s, annasKey, of(1, n+1, 5, tracker.None), nil)
		}
		store.set(false, false)
		time.Sleep(3 * DefaultFlushEvery)
		synctest.Wait()
		if got := store.sum(1); got != 60 {
			t.Errorf("stored %d", got)
		}
		if got := s.ledger.Standing(1, 1).Totals.Uploaded; got != 60 {
			t.Errorf("the ledger has %d", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		warnings := strings.Count(log.String(), "sums; they wait in memory\"")
		if warnings < 50 || warnings > 70 || strings.Count(log.String(), "it works again") < 1 {
			t.Errorf("%d warnings:\n%s", warnings, log.String())
		}
		for _, key := range []Key{annasKey, bertasKey} {
			if strings.Contains(log.String(), key.Reveal()) {
				t.Error("a key is in the log")
			}
		}
	})
}

// Silent sessions end, those of before the start too.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		for n := range byte(2) {
			key := ledger.SessionKey{User: 1, Torrent: 1, PeerID: metainfo.PeerID{n}}
			at := time.Duration(time.Now().UnixNano()) - time.Duration(n+1)*45*time.Minute
			store.sessions[key] = ledger.Session{SessionKey: key, At: at}
		}
		s := newService(t, Config{Store: store})
		if got := s.Stats().Ledger.Sessions; got != 1 {
			t.Errorf("%d sessions at the start", got)
		}
		stop := running(t, s)
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if got := s.Stats().Ledger.Sessions; got != 0 {
			t.Errorf("%d sessions after an hour", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopWithoutDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, stop := runningService(t)
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
		store.set(true, false)
		if err := stop(); !errors.Is(err, errAway) || !strings.Contains(err.Error(), "not stored") {
			t.Error(err)
		}
	})
}

// A database that does not answer at all holds up no announce.
func TestAnnouncesDoNotWait(t *testing.T) {
	store := newFakeStore()
	store.hang = make(chan struct{})
	s := newService(t, Config{Store: store})
	wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
	flushed := make(chan error)
	go func() { flushed <- s.flush(t.Context()) }()
	for s.writing.TryLock() { // until it is on its way
		s.writing.Unlock()
	}
	wantAnnounce(t, s, annasKey, of(1, 10, 5, tracker.None), nil)
	s.Stats()
	close(store.hang)
	if err := <-flushed; err != nil || store.sum(1) != 10 {
		t.Errorf("%v, stored %d", err, store.sum(1))
	}
}

// A change holds soon, and at once for who asks for it; sums that are not
// stored yet survive it.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, stop := runningService(t)
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.Started), nil)
		wantAnnounce(t, s, annasKey, of(1, 10, 5, tracker.None), nil)
		fresh := Key{77}
		store.change(func(t *Tables) { t.Keys[0].Hash = fresh.Hash() })
		wantAnnounce(t, s, fresh, of(1, 10, 5, tracker.None), ErrKey)
		time.Sleep(DefaultFlushEvery + 1)
		synctest.Wait()
		wantAnnounce(t, s, annasKey, of(1, 20, 5, tracker.None), ErrKey)
		wantAnnounce(t, s, fresh, of(1, 20, 5, tracker.None), nil)
		store.change(func(t *Tables) { t.Torrents = t.Torrents[1:] })
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantAnnounce(t, s, fresh, of(1, 20, 5, tracker.None), ErrTorrent)
		if got := s.ledger.Standing(1, 1).Totals.Uploaded; got != 20 {
			t.Errorf("the ledger has %d", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestPromotionsApply(t *testing.T) {
	store := newFakeStore()
	store.tables.Site = ledger.Promotion{Rate: ledger.Rate{UpPercent: 200, DownPercent: 100}}
	store.tables.Torrents[0].Promotion = ledger.Promotion{Rate: ledger.Rate{UpPercent: 100, DownPercent: 0}}
	store.tables.Users[0].Promotion = ledger.Promotion{Rate: ledger.Rate{UpPercent: 300, DownPercent: 100}}
	s := newService(t, Config{Store: store})
	for _, n := range []int64{0, 10} {
		req := of(1, n, 5, tracker.None)
		req.Downloaded = n
		wantAnnounce(t, s, annasKey, req, nil)
	}
	if got := s.ledger.Standing(1, 1).Totals; got != (ledger.Totals{Uploaded: 30}) {
		t.Errorf("%+v", got)
	}
}

func TestAnnounceLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		w, err := announcelog.NewWriter(announcelog.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		s := newService(t, Config{Store: newFakeStore(), Log: w})
		stop := running(t, s)
		for n := range int64(5) {
			time.Sleep(time.Second)
			wantAnnounce(t, s, annasKey, of(1, n, 5, tracker.None), nil)
		}
		wantAnnounce(t, s, annasKey, of(9, 7, 5, tracker.None), ErrTorrent)
		if err := stop(); err != nil {
			t.Error(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var uploaded []int64
		numDamaged, err := announcelog.Read(bytes.NewReader(b), func(e *announcelog.Entry) error {
			uploaded = append(uploaded, e.Uploaded)
			return nil
		})
		if err != nil || numDamaged > 0 || len(uploaded) != 5 || uploaded[4] != 4 {
			t.Errorf("%v, %v", uploaded, err)
		}
	})
}

// Entries that could not be written wait, up to a bound.
func TestAnnounceLogAway(t *testing.T) {
	w, err := announcelog.NewWriter(announcelog.Config{Path: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := newService(t, Config{Store: newFakeStore(), Log: w})
	for range 3 {
		wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.None), nil)
		if err := s.writeLog(); err == nil {
			t.Error("a closed file is written")
		}
	}
	if got := len(s.logWaiting); got != 3*announcelog.EntryLen {
		t.Errorf("%d bytes wait", got)
	}
	s.logWaiting = make([]byte, maxLogWaiting)
	wantAnnounce(t, s, annasKey, of(1, 0, 5, tracker.None), nil)
	if st := s.Stats(); st.LostLogEntries != 1 || len(s.logWaiting) != maxLogWaiting {
		t.Errorf("%+v, %d bytes wait", st, len(s.logWaiting))
	}
}

// Clients announce at once while sums are written and tables are read again.
func TestConcurrentAnnounces(t *testing.T) {
	store := newFakeStore()
	s := newService(t, Config{Store: store, FlushEvery: time.Millisecond})
	stop := running(t, s)
	const numAnnounces = 500
	var wg sync.WaitGroup
	for n, key := range []Key{annasKey, bertasKey, annasKey, bertasKey} {
		wg.Go(func() {
			for i := range int64(numAnnounces + 1) {
				req := of(byte(1+n/2), i, 5, tracker.None)
				wantAnnounce(t, s, key, req, nil)
				if i%50 == 0 {
					store.change(func(*Tables) {})
				}
			}
		})
	}
	wg.Wait()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if want := map[ledger.UserID]int64{1: 2 * numAnnounces, 2: 2 * numAnnounces}; !maps.Equal(store.uploaded, want) {
		t.Errorf("stored %v, want %v", store.uploaded, want)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no store": {}, "negative": {Store: newFakeStore(), FlushEvery: -1}, "ledger": {Store: newFakeStore(), Ledger: ledger.Config{MaxIdle: -1}},
		"away": {Store: &fakeStore{away: true}},
	} {
		if _, err := New(t.Context(), cfg); err == nil {
			t.Error(name + ": accepted")
		}
	}
}

func BenchmarkAnnounce(b *testing.B) {
	s := newService(b, Config{Store: newFakeStore()})
	key, req := annasKey.Reveal(), of(1, 0, 0, tracker.None)
	b.ReportAllocs()
	for b.Loop() {
		req.Uploaded++
		if err := s.Announce(key, req); err != nil {
			b.Fatal(err)
		}
	}
}
