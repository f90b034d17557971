package ledger

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// epoch is when the tests begin.
const epoch = 20_000 * 24 * time.Hour

const gib = 1 << 30

func newLedger(t testing.TB, cfg Config) *Ledger {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func peerID(n byte) metainfo.PeerID { return metainfo.PeerID{'-', 'T', 'R', 19: n} }

// of is an announce of user 1 on torrent 1.
func of(peer byte, up, down, left int64, event tracker.Event) *Announce {
	return &Announce{User: 1, Torrent: 1, PeerID: peerID(peer), Uploaded: up, Downloaded: down, Left: left, Event: event, Rate: NormalRate}
}

// step is an announce after a while, and what becomes of it.
type step struct {
	after   time.Duration
	a       *Announce
	outcome Outcome
}

// play makes the steps, and returns the sums of what they stored.
func play(t *testing.T, l *Ledger, steps ...step) (sum Delta) {
	t.Helper()
	now := epoch
	for i, st := range steps {
		now += st.after
		if got := l.Announce(now, st.a); got != st.outcome {
			t.Errorf("step %d: outcome %d, want %d", i, got, st.outcome)
		}
	}
	return drainAll(l)
}

func drainAll(l *Ledger) (sum Delta) {
	for b := l.Drain(); b != nil; b = l.Drain() {
		for _, d := range b.Deltas {
			sum.merge(&d)
			sum.CompletedAt = max(sum.CompletedAt, d.CompletedAt)
		}
		l.Ack()
	}
	return sum
}

func TestAnnounces(t *testing.T) {
	const m = time.Minute
	half := func(a *Announce) *Announce { a.Rate = Rate{150, 50}; return a }
	for name, c := range map[string]struct {
		steps []step
		want  Delta
	}{
		"the first announce credits nothing": {
			[]step{{0, of(1, gib, gib, 5, tracker.None), Opened}, {30 * m, of(1, gib+10, gib+3, 5, tracker.None), Counted}},
			Delta{Totals: Totals{10, 3}, RawUploaded: 10, RawDownloaded: 3}},
		"an announce that repeats adds nothing": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {m, of(1, 9, 0, 5, tracker.None), Counted}, {0, of(1, 9, 0, 5, tracker.None), Counted}, {m, of(1, 9, 0, 5, tracker.Stopped), Counted}, {m, of(1, 9, 0, 5, tracker.Stopped), Untracked}},
			Delta{Totals: Totals{9, 0}, RawUploaded: 9}},
		"one that was overtaken changes nothing": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {30 * m, of(1, 200, 0, 5, tracker.None), Counted}, {59 * time.Second, of(1, 100, 0, 5, tracker.None), Late}, {30 * m, of(1, 300, 0, 5, tracker.None), Counted}},
			Delta{Totals: Totals{300, 0}, RawUploaded: 300}},
		"a late started changes nothing": {
			[]step{{0, of(1, 200, 0, 5, tracker.None), Opened}, {time.Second, of(1, 0, 0, 5, tracker.Started), Late}, {30 * m, of(1, 300, 0, 5, tracker.None), Counted}},
			Delta{Totals: Totals{100, 0}, RawUploaded: 100}},
		"lower counters begin anew": {
			[]step{{0, of(1, 500, 50, 5, tracker.None), Opened}, {30 * m, of(1, 7, 3, 5, tracker.None), Restarted}, {30 * m, of(1, 17, 4, 5, tracker.None), Counted}},
			Delta{Totals: Totals{10, 1}, RawUploaded: 10, RawDownloaded: 1}},
		"started begins anew": {
			[]step{{0, of(1, 5, 0, 5, tracker.None), Opened}, {30 * m, of(1, 100, 0, 5, tracker.Started), Restarted}, {30 * m, of(1, 101, 0, 5, tracker.None), Counted}},
			Delta{Totals: Totals{1, 0}, RawUploaded: 1}},
		"two clients of one user add": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {0, of(2, 0, 0, 5, tracker.Started), Opened}, {m, of(1, 10, 1, 5, tracker.None), Counted}, {m, of(2, 20, 2, 5, tracker.None), Counted}},
			Delta{Totals: Totals{30, 3}, RawUploaded: 30, RawDownloaded: 3}},
		"two clients seed one hour in one": {
			[]step{{0, of(1, 0, 0, 0, tracker.None), Opened}, {20 * m, of(2, 0, 0, 0, tracker.None), Opened}, {20 * m, of(1, 0, 0, 0, tracker.Stopped), Counted}, {20 * m, of(2, 0, 0, 0, tracker.Stopped), Counted}},
			Delta{SeedTime: 60 * m}},
		"only seeding is seed time": {
			[]step{{0, of(1, 0, 0, 9, tracker.Started), Opened}, {20 * m, of(1, 0, 9, 0, tracker.Completed), Counted}, {20 * m, of(1, 0, 9, 0, tracker.Stopped), Counted}},
			Delta{Totals: Totals{0, 9}, RawDownloaded: 9, SeedTime: 20 * m, CompletedAt: epoch + 20*m}},
		"multipliers": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {m, half(of(1, 100, 100, 5, tracker.None)), Counted}},
			Delta{Totals: Totals{150, 50}, RawUploaded: 100, RawDownloaded: 100}},
		"absurd speed is not credited, and the next is": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {m, of(1, 1<<50, 0, 5, tracker.None), Absurd}, {m, of(1, 1<<50+5, 0, 5, tracker.None), Counted}},
			Delta{Totals: Totals{5, 0}, RawUploaded: 5}},
		"so is an absurd download": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {m, of(1, 5, 1<<50, 5, tracker.None), Absurd}, {m, of(1, 6, 1<<50+1, 5, tracker.None), Counted}},
			Delta{Totals: Totals{1, 1}, RawUploaded: 1, RawDownloaded: 1}},
		"counters saturate": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {m, of(1, math.MaxInt64, math.MaxInt64, 5, tracker.None), Absurd}, {2 * m, of(1, math.MinInt64, -1, math.MinInt64, tracker.None), Restarted}},
			Delta{}},
		"a session ends after an hour": {
			[]step{{0, of(1, 0, 0, 5, tracker.Started), Opened}, {time.Hour + 1, of(1, 10, 0, 5, tracker.None), Opened}},
			Delta{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, newLedger(t, Config{}), c.steps...); got != c.want {
				t.Errorf("stored %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestSaturation(t *testing.T) {
	if add(int64(math.MaxInt64-1), 5) != math.MaxInt64 || scale(math.MaxInt64, MaxPercent) != math.MaxInt64 || scale(math.MaxInt64, 100) != math.MaxInt64 || scale(201, 50) != 100 {
		t.Error("sums or products overflow")
	}
}

func TestPromotions(t *testing.T) {
	weekend := Promotion{Rate{100, 0}, 10, 20}
	double := Promotion{Rate{200, 100}, 0, 0}
	for now, want := range map[time.Duration]Rate{9: {200, 100}, 10: {200, 0}, 19: {200, 0}, 20: {200, 100}} {
		if got := RateAt(now, Promotion{}, weekend, double); got != want {
			t.Errorf("at %d: %v, want %v", now, got, want)
		}
	}
	if got := RateAt(15, Promotion{}); got != NormalRate {
		t.Error("no promotion:", got)
	}
}

func TestRules(t *testing.T) {
	rules := Rules{
		MinRatioPercent: 50, RatioFreeLen: 1000, Slots: 2, Clients: []string{"-TR"},
		HitAndRun: HitAndRun{SeedTime: time.Hour, Within: 10 * time.Hour}, MaxHitAndRuns: 1,
	}
	poor := Totals{499, 1001}
	stranger := of(1, 0, 0, 0, tracker.Stopped)
	stranger.PeerID[1] = 'X'
	for name, c := range map[string]struct {
		s    Standing
		a    *Announce
		want error
	}{
		"a newcomer":                  {Standing{}, of(1, 0, 0, 5, tracker.Started), nil},
		"free to begin with":          {Standing{Totals: Totals{0, 1000}}, of(1, 0, 0, 5, tracker.None), nil},
		"a low ratio":                 {Standing{Totals: poor}, of(1, 0, 0, 5, tracker.None), ErrRatio},
		"a low ratio, unknown left":   {Standing{Totals: poor}, of(1, 0, 0, -1, tracker.None), ErrRatio},
		"a low ratio may seed":        {Standing{Totals: poor}, of(1, 0, 0, 0, tracker.None), nil},
		"a low ratio may stop":        {Standing{Totals: poor}, of(1, 0, 0, 5, tracker.Stopped), nil},
		"one hit-and-run":             {Standing{HitAndRuns: 1}, of(1, 0, 0, 5, tracker.None), nil},
		"two hit-and-runs":            {Standing{HitAndRuns: 2}, of(1, 0, 0, 5, tracker.None), ErrHitAndRun},
		"slots are full":              {Standing{Downloading: 2}, of(1, 0, 0, 5, tracker.None), ErrSlots},
		"one of the slots is his":     {Standing{Downloading: 2, HasSlot: true}, of(1, 0, 0, 5, tracker.None), nil},
		"his own number of slots":     {Standing{Downloading: 2, Slots: 3}, of(1, 0, 0, 5, tracker.None), nil},
		"any number of slots":         {Standing{Downloading: 200, Slots: -1}, of(1, 0, 0, 5, tracker.None), nil},
		"a client that is not listed": {Standing{}, stranger, ErrClient},
	} {
		if got := rules.Check(c.s, c.a); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	var none Rules
	if err := none.Check(Standing{Totals: poor, HitAndRuns: 9, Downloading: 9}, stranger); err != nil {
		t.Error("no rules refuse: ", err)
	}
}

func TestHitAndRun(t *testing.T) {
	h := HitAndRun{SeedTime: time.Hour, Within: 10 * time.Hour, RatioPercent: 100}
	done := epoch
	for name, c := range map[string]struct {
		after time.Duration
		t     PairTotals
		want  bool
	}{
		"never completed":    {99 * time.Hour, PairTotals{RawDownloaded: 5}, false},
		"there is time left": {10*time.Hour - 1, PairTotals{CompletedAt: done, RawDownloaded: 5}, false},
		"ran":                {10 * time.Hour, PairTotals{CompletedAt: done, RawDownloaded: 5, RawUploaded: 4, SeedTime: time.Hour - 1}, true},
		"seeded":             {10 * time.Hour, PairTotals{CompletedAt: done, RawDownloaded: 5, SeedTime: time.Hour}, false},
		"gave back":          {10 * time.Hour, PairTotals{CompletedAt: done, RawDownloaded: 5, RawUploaded: 5}, false},
	} {
		if got := h.Violated(done+c.after, c.t); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (HitAndRun{}).Violated(done+time.Hour, PairTotals{CompletedAt: done}) {
		t.Error("without a rule")
	}
}

func TestFindings(t *testing.T) {
	l := newLedger(t, Config{MaxFindings: 2})
	now := epoch
	at := func(a *Announce) { now += time.Minute; l.Announce(now, a) }
	l.Expire(now)
	now += 2 * time.Hour // the ledger knows by now who is here
	at(of(1, 0, 0, gib, tracker.Started))
	at(of(1, 0, 0, gib/2, tracker.None))     // hidden download
	at(of(1, gib, 0, gib/2, tracker.None))   // nobody to serve
	at(of(1, 2*gib, 0, gib/2, tracker.None)) // again
	at(of(1, 1<<60, 0, gib/2, tracker.None)) // too fast: no room any more
	b := l.Drain()
	if len(b.Findings) != 2 || l.Stats().LostFindings != 1 {
		t.Fatalf("%+v, %+v", b.Findings, l.Stats())
	}
	first, second := b.Findings[0], b.Findings[1]
	if first.Kind != HiddenDownload || first.Bytes != gib/2 || first.Count != 1 {
		t.Errorf("%+v", first)
	}
	if second.Kind != NobodyToServe || second.Count != 2 || second.Bytes != 2*gib || second.Last-second.First != time.Minute {
		t.Errorf("%+v", second)
	}
	l.Ack()
	// With others in the swarm there is nothing to find, nor just after.
	at(of(2, 0, 0, gib, tracker.Started))
	at(of(1, 1<<60+2*gib, 0, gib/2, tracker.None))
	at(of(2, 0, 0, gib, tracker.Stopped))
	at(of(1, 1<<60+3*gib, 0, gib/2, tracker.None))
	if b := l.Drain(); len(b.Findings) != 0 {
		t.Errorf("%+v", b.Findings)
	}
}

// An hour may pass before a ledger that has just begun knows who is there.
func TestNothingIsFoundAfterARestart(t *testing.T) {
	l := newLedger(t, Config{})
	l.Restore(epoch, Session{SessionKey: of(1, 0, 0, 0, 0).key(), At: epoch}, 0)
	l.Announce(epoch+30*time.Minute, of(1, gib, 0, 0, tracker.None))
	if b := l.Drain(); len(b.Findings) != 0 || b.Deltas[0].Totals.Uploaded != gib {
		t.Errorf("%+v", b)
	}
}

func TestSlotsAreTorrents(t *testing.T) {
	l := newLedger(t, Config{})
	want := func(downloading int, hasSlot bool) {
		t.Helper()
		if s := l.Standing(1, 1); s.Downloading != downloading || s.HasSlot != hasSlot {
			t.Errorf("%+v", s)
		}
	}
	want(0, false)
	l.Announce(epoch, of(1, 0, 0, 5, tracker.Started))
	l.Announce(epoch, of(2, 0, 0, -1, tracker.Started))
	want(1, true)
	other := of(1, 0, 0, 5, tracker.Started)
	other.Torrent = 2
	l.Announce(epoch, other)
	want(2, true)
	l.Announce(epoch, of(1, 0, 0, 0, tracker.Completed))
	want(2, true)
	l.Announce(epoch, of(2, 0, 0, 5, tracker.Stopped))
	want(1, false)
	l.Expire(epoch + 2*time.Hour)
	want(0, false)
	if drainAll(l); len(l.pairs)+len(l.torrents)+len(l.sessions)+l.bySeen.Len()+l.idle.Len() > 0 {
		t.Error("something is left over")
	}
}

// A user's sums are the database's and what it has not confirmed, at every
// moment between.
func TestStandingDuringAFlush(t *testing.T) {
	l := newLedger(t, Config{})
	want := func(up int64) {
		t.Helper()
		if got := l.Standing(1, 1).Totals.Uploaded; got != up {
			t.Errorf("uploaded %d, want %d", got, up)
		}
	}
	l.SetStored(1, Totals{100, 0}, 0)
	l.Announce(epoch, of(1, 0, 0, 5, tracker.Started))
	l.Announce(epoch+time.Minute, of(1, 10, 0, 5, tracker.None))
	want(110)
	b := l.Drain()
	want(110)
	l.Announce(epoch+2*time.Minute, of(1, 15, 0, 5, tracker.None))
	want(115)
	if again := l.Drain(); again != b {
		t.Error("another batch, although the last one's fate is unknown")
	}
	l.Ack()
	want(115)
	l.SetStored(1, Totals{110, 0}, 0)
	want(115)
	if b := l.Drain(); b.Seq != 2 || b.Deltas[0].Totals.Uploaded != 5 {
		t.Errorf("%+v", b)
	}
}

// A flood of announces that change nothing is not a flood of writes.
func TestIdleAnnouncesAreNotStored(t *testing.T) {
	l := newLedger(t, Config{})
	l.Announce(epoch, of(1, 0, 0, 0, tracker.Started))
	drainAll(l)
	for i := range 9 {
		l.Announce(epoch+time.Duration(i+1)*time.Minute, of(1, 0, 0, 0, tracker.None))
	}
	if b := l.Drain(); b != nil {
		t.Errorf("%+v", b)
	}
	l.Announce(epoch+10*time.Minute, of(1, 0, 0, 0, tracker.None))
	if sum := drainAll(l); sum.SeedTime != 10*time.Minute {
		t.Errorf("%+v", sum)
	}
	// What was not stored of them is at the end.
	l.Announce(epoch+15*time.Minute, of(1, 0, 0, 0, tracker.None))
	l.Expire(epoch + 3*time.Hour)
	if sum := drainAll(l); sum.SeedTime != 5*time.Minute {
		t.Errorf("%+v", sum)
	}
}

// A client that stops and begins again before a flush is still there after it.
func TestStopAndStart(t *testing.T) {
	l := newLedger(t, Config{})
	l.Announce(epoch, of(1, 0, 0, 5, tracker.Started))
	drainAll(l)
	l.Announce(epoch+time.Minute, of(1, 9, 0, 5, tracker.Stopped))
	l.Announce(epoch+2*time.Minute, of(1, 0, 0, 5, tracker.Started))
	if b := l.Drain(); len(b.Ended) != 0 || len(b.Sessions) != 1 || b.Deltas[0].Totals.Uploaded != 9 {
		t.Errorf("%+v", b)
	}
	l.Ack()
	l.Announce(epoch+3*time.Minute, of(1, 0, 0, 5, tracker.Stopped))
	if b := l.Drain(); len(b.Ended) != 1 || len(b.Sessions) != 0 {
		t.Errorf("%+v", b)
	}
}

// The clock was put back by a day while the tracker did not run.
func TestRestoreFromTheFuture(t *testing.T) {
	l := newLedger(t, Config{})
	l.Restore(epoch, Session{SessionKey: of(1, 0, 0, 0, 0).key(), At: epoch + 24*time.Hour}, epoch+24*time.Hour)
	l.Announce(epoch+30*time.Minute, of(1, 5, 0, 0, tracker.None))
	if sum := drainAll(l); sum.Totals.Uploaded != 5 || sum.SeedTime != 30*time.Minute {
		t.Errorf("%+v", sum)
	}
	if l.Expire(epoch + 2*time.Hour); l.Stats().Sessions != 0 {
		t.Error("the session lasts")
	}
}

// What another client of the user has seeded before the restart counts once.
func TestRestoreSeedTime(t *testing.T) {
	l := newLedger(t, Config{})
	l.Restore(epoch, Session{SessionKey: of(1, 0, 0, 0, 0).key(), At: epoch - 20*time.Minute}, epoch-5*time.Minute)
	l.Announce(epoch+10*time.Minute, of(1, 0, 0, 0, tracker.None))
	if sum := drainAll(l); sum.SeedTime != 15*time.Minute {
		t.Errorf("%+v", sum)
	}
}

func TestBounds(t *testing.T) {
	l := newLedger(t, Config{MaxSessions: 10, MaxIdle: 3, MaxBatch: 2})
	for peer := range byte(maxClients) {
		if o := l.Announce(epoch, of(peer, 0, 0, 5, tracker.Started)); o != Opened {
			t.Fatal(o)
		}
	}
	if o := l.Announce(epoch, of(99, 0, 0, 5, tracker.Started)); o != TooManyClients {
		t.Error(o)
	}
	for user := range 3 {
		a := of(1, 0, 0, 5, tracker.Started)
		a.User = UserID(user + 2)
		want := Opened
		if user == 2 {
			want = Untracked
		}
		if o := l.Announce(epoch, a); o != want {
			t.Error(user, o)
		}
	}
	if st := l.Stats(); st.Untracked != 1 || st.Sessions != 10 {
		t.Errorf("%+v", st)
	}
	if b := l.Drain(); len(b.Deltas) != 2 || len(b.Sessions) != maxClients+1 {
		t.Errorf("%d deltas, %d sessions", len(b.Deltas), len(b.Sessions))
	}
}

// While the database is away the oldest deltas without a session lose their
// torrent, but not their bytes.
func TestOldestDeltasMerge(t *testing.T) {
	l := newLedger(t, Config{MaxIdle: 3})
	for torrent := range 10 {
		for _, a := range []*Announce{of(1, 0, 0, 0, tracker.Started), of(1, 7, 0, 0, tracker.Stopped)} {
			a.Torrent = TorrentID(torrent + 1)
			l.Announce(epoch+time.Duration(torrent)*time.Minute, a)
		}
	}
	if st := l.Stats(); st.Merged != 7 || st.Waiting != 4 {
		t.Errorf("%+v", st)
	}
	var torrents []TorrentID
	sum := Totals{}
	for _, d := range l.Drain().Deltas {
		torrents = append(torrents, d.Torrent)
		sum.add(d.Totals)
	}
	if want := []TorrentID{AnyTorrent, 8, 9, 10}; !reflect.DeepEqual(torrents, want) || sum.Uploaded != 70 {
		t.Errorf("%v, %+v", torrents, sum)
	}
}

// A batch says up to when all announces are in it or in an earlier one: not
// later than the first that still waits.
func TestBatchesSayUpToWhen(t *testing.T) {
	l := newLedger(t, Config{MaxBatch: 2})
	at := func(minute, torrent int) {
		a := of(1, 0, 0, 0, tracker.Started)
		a.Torrent = TorrentID(torrent)
		l.Announce(epoch+time.Duration(minute)*time.Minute, a)
	}
	drain := func(want time.Duration) {
		t.Helper()
		if b := l.Drain(); b == nil || b.At != want {
			t.Errorf("%+v, want up to %v", b, want)
		}
		l.Ack()
	}
	for torrent := range 3 {
		at(torrent, torrent+1)
	}
	drain(epoch - 1)
	at(3, 4)
	drain(epoch + 3*time.Minute)
	for torrent := range 3 {
		at(10+torrent, torrent+5)
	}
	drain(epoch + 3*time.Minute)
	l.Expire(epoch + 20*time.Minute)
	drain(epoch + 20*time.Minute)
	l.Refuse(Refusal{User: 1, At: epoch + 21*time.Minute, Reason: "no"})
	drain(epoch + 20*time.Minute)
}

func TestLastRefusal(t *testing.T) {
	l := newLedger(t, Config{})
	if _, ok := l.LastRefusal(1); ok {
		t.Error("a refusal of nothing")
	}
	for i, reason := range []string{"no", "still no"} {
		l.Refuse(Refusal{User: 1, At: time.Duration(i), Reason: reason})
	}
	b := l.Drain()
	if r, ok := l.LastRefusal(1); !ok || r.Reason != "still no" || len(b.Refusals) != 1 || b.Refusals[0] != r {
		t.Errorf("%+v, %+v", r, b)
	}
	if l.Ack(); l.Drain() != nil {
		t.Error("stored twice")
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{MaxIdle: -1}); err == nil {
		t.Error("a negative bound is accepted")
	}
}
