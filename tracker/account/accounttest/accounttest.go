package accounttest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// epoch is when the tests begin.
const epoch = 20_000 * 24 * time.Hour

var epochTime = time.Unix(0, int64(epoch))

// Run tests a kind of Store. Each call of open returns an empty one, which the
// suite closes.
func Run(t *testing.T, open func(t *testing.T) account.Store) {
	for name, test := range map[string]func(*testing.T, *harness){
		"Users":             testUsers,
		"Keys":              testKeys,
		"Invites":           testInvites,
		"Torrents":          testTorrents,
		"Promotions":        testPromotions,
		"Settings":          testSettings,
		"Revision":          testRevision,
		"FlushAdds":         testFlushAdds,
		"FlushOnce":         testFlushOnce,
		"FlushSaturates":    testFlushSaturates,
		"FlushOfTheUnknown": testFlushOfTheUnknown,
		"Lists":             testLists,
		"Sums":              testSums,
		"TorrentKeys":       testTorrentKeys,
		"Snatches":          testSnatches,
		"Sessions":          testSessions,
		"HitAndRuns":        testHitAndRuns,
		"Findings":          testFindings,
		"Refusals":          testRefusals,
		"Concurrent":        testConcurrent,
		"CancelledIsNot":    testCancelled,
		"Ledger":            testLedger,
		"Check":             func(t *testing.T, h *harness) { h.must(h.Check(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &harness{Store: open(t), t: t}
			defer func() { h.must(h.Close()) }()
			test(t, h)
		})
	}
}

// harness is a Store with what tests do again and again.
type harness struct {
	account.Store
	t *testing.T
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) mustBe(err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) {
		h.t.Fatalf("error %v, want %v", err, want)
	}
}

func hash(n byte) account.KeyHash       { return account.KeyHash{n} }
func infoHash(n byte) metainfo.InfoHash { return metainfo.InfoHash{19: n} }

func (h *harness) user(name string, key byte) account.User {
	h.t.Helper()
	u, err := h.CreateUser(h.t.Context(), account.User{Name: name, CreatedAt: epochTime}, hash(key))
	h.must(err)
	return u
}

func (h *harness) torrent(name string, n byte) account.Torrent {
	h.t.Helper()
	torrent, err := h.AddTorrent(h.t.Context(), account.Torrent{InfoHash: infoHash(n), Name: name, Len: 5, AddedAt: epochTime}, []byte(name))
	h.must(err)
	return torrent
}

func (h *harness) load() *account.Tables {
	h.t.Helper()
	tables, err := h.Load(h.t.Context())
	h.must(err)
	return tables
}

func (h *harness) report(name string) account.UserReport {
	h.t.Helper()
	u, err := h.User(h.t.Context(), name)
	h.must(err)
	return u
}

func (h *harness) flush(run account.RunID, b *ledger.Batch) {
	h.t.Helper()
	h.must(h.Flush(h.t.Context(), run, b))
}

func (h *harness) equal(got, want any) {
	h.t.Helper()
	if !reflect.DeepEqual(got, want) {
		h.t.Fatalf("got\n %+v, want\n %+v", got, want)
	}
}

func testUsers(t *testing.T, h *harness) {
	anna := account.User{Name: "Anna", Role: account.Moderator, Slots: -1, CreatedAt: epochTime, InvitedBy: 7}
	anna, err := h.CreateUser(t.Context(), anna, hash(1))
	h.must(err)
	berta := h.user("berta", 2)
	if anna.ID == berta.ID || anna.ID <= 0 || berta.ID <= 0 {
		t.Fatal("ids ", anna.ID, berta.ID)
	}
	_, err = h.CreateUser(t.Context(), account.User{Name: "aNNa"}, hash(3))
	h.mustBe(err, account.ErrExists)
	_, err = h.CreateUser(t.Context(), account.User{Name: "carla"}, hash(2))
	h.mustBe(err, account.ErrExists) // the key is taken: nothing is left of the user
	_, err = h.User(t.Context(), "carla")
	h.mustBe(err, account.ErrNotFound)
	if _, err := h.CreateUser(t.Context(), account.User{Name: "a b"}, hash(4)); err == nil {
		t.Error("a bad name is accepted")
	}
	h.equal(h.report("anna").User, anna)
	berta.State, berta.Role, berta.Slots = account.Disabled, account.Uploader, 3
	berta.Promotion = ledger.Promotion{Rate: ledger.Rate{UpPercent: 200, DownPercent: 0}, From: 5, Until: 9}
	h.must(h.UpdateUser(t.Context(), berta))
	users, err := h.Users(t.Context())
	h.must(err)
	h.equal(users, []account.UserReport{{User: anna}, {User: berta}})
	h.equal(h.load().Users, []account.UserTotals{{User: anna}, {User: berta}})
	h.mustBe(h.UpdateUser(t.Context(), account.User{ID: 99, Name: "x"}), account.ErrNotFound)
}

func testKeys(t *testing.T, h *harness) {
	anna, berta := h.user("anna", 1), h.user("berta", 2)
	torrent := h.torrent("t", 1)
	single := account.StoredKey{Hash: hash(3), User: anna.ID, Torrent: torrent.ID}
	h.must(h.AddKey(t.Context(), single, account.KeyHash{}))
	h.mustBe(h.AddKey(t.Context(), single, account.KeyHash{}), account.ErrExists)
	bertas := account.StoredKey{Hash: hash(2), User: berta.ID}
	h.equal(h.load().Keys, []account.StoredKey{{Hash: hash(1), User: anna.ID}, bertas, single})
	h.must(h.RotateKey(t.Context(), anna.ID, hash(4), account.KeyHash{}))
	h.equal(h.load().Keys, []account.StoredKey{bertas, {Hash: hash(4), User: anna.ID}})
	h.mustBe(h.RotateKey(t.Context(), anna.ID, hash(2), account.KeyHash{}), account.ErrExists) // and the old one stays
	h.equal(h.load().Keys, []account.StoredKey{bertas, {Hash: hash(4), User: anna.ID}})
	if err := h.RotateKey(t.Context(), 99, hash(5), account.KeyHash{}); err == nil {
		t.Error("a key for nobody")
	}
	// Users ask for keys by their own, which is hash(4) and was hash(1).
	for _, by := range []account.KeyHash{hash(1), hash(2), single.Hash} {
		h.mustBe(h.RotateKey(t.Context(), anna.ID, hash(6), by), account.ErrNotFound)
		h.mustBe(h.AddKey(t.Context(), single, by), account.ErrNotFound)
	}
	h.must(h.AddKey(t.Context(), single, hash(4)))
	h.mustBe(h.RotateKey(t.Context(), anna.ID, hash(6), single.Hash), account.ErrNotFound) // which is for its torrent only
	h.equal(h.load().Keys, []account.StoredKey{bertas, single, {Hash: hash(4), User: anna.ID}})
	h.must(h.RotateKey(t.Context(), anna.ID, hash(6), hash(4)))
	h.equal(h.load().Keys, []account.StoredKey{bertas, {Hash: hash(6), User: anna.ID}})
}

func testInvites(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	for n := range byte(3) {
		h.must(h.AddInvite(t.Context(), account.Invite{Hash: hash(100 + n), By: anna.ID, Role: account.Uploader, ExpiresAt: epochTime.Add(time.Hour)}))
	}
	redeem := func(code byte, name string, after time.Duration) error {
		_, err := h.Redeem(t.Context(), hash(code), account.User{Name: name, CreatedAt: epochTime.Add(after)}, hash(code+50))
		return err
	}
	h.must(redeem(100, "berta", time.Hour-1))
	if berta := h.report("berta"); berta.InvitedBy != anna.ID || berta.Role != account.Uploader || berta.ID == 0 {
		t.Errorf("%+v", berta)
	}
	h.mustBe(redeem(100, "carla", 0), account.ErrNotFound)
	h.mustBe(redeem(101, "carla", time.Hour), account.ErrNotFound)
	h.mustBe(redeem(102, "berta", 0), account.ErrExists)
	h.must(redeem(102, "carla", 0)) // what failed has not used it up
	h.equal(len(h.load().Keys), 3)

	var codes []account.Invite
	for n := range byte(3) {
		codes = append(codes, account.Invite{Hash: hash(10 + n), By: anna.ID, Role: account.Uploader, ExpiresAt: epochTime})
		h.must(h.AddInvite(t.Context(), codes[n]))
	}
	h.mustBe(h.RemoveInvite(t.Context(), hash(9)), account.ErrNotFound)
	h.must(h.RemoveInvite(t.Context(), hash(11)))
	h.mustBe(redeem(11, "doris", 0), account.ErrNotFound)
	got, err := h.Invites(t.Context(), hash(10), 1)
	h.must(err)
	h.equal(got, codes[2:])
}

func testTorrents(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	b, a := h.torrent("b", 1), h.torrent("a", 2)
	h.must(h.AddKey(t.Context(), account.StoredKey{Hash: hash(9), User: anna.ID, Torrent: b.ID}, account.KeyHash{}))
	_, err := h.AddTorrent(t.Context(), account.Torrent{InfoHash: infoHash(1)}, nil)
	h.mustBe(err, account.ErrExists)
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{{User: anna.ID, Torrent: b.ID, RawUploaded: 5}}})
	torrents, err := h.Torrents(t.Context())
	h.must(err)
	h.equal(torrents, []account.TorrentReport{{Torrent: a}, {Torrent: b, Uploaded: 5}})
	h.equal(h.load().Torrents, []account.Torrent{b, a})
	file, err := h.TorrentFile(t.Context(), infoHash(1))
	h.must(err)
	h.equal(string(file), "b")

	h.must(h.RemoveTorrent(t.Context(), infoHash(1)))
	h.mustBe(h.RemoveTorrent(t.Context(), infoHash(1)), account.ErrNotFound)
	_, err = h.TorrentFile(t.Context(), infoHash(1))
	h.mustBe(err, account.ErrNotFound)
	h.equal(h.load().Torrents, []account.Torrent{a})
	h.equal(len(h.load().Keys), 1)
	pairs, err := h.Pairs(t.Context(), anna.ID)
	h.must(err)
	h.equal(pairs, []account.PairReport{{Torrent: b.ID, PairTotals: ledger.PairTotals{RawUploaded: 5}}})
	if again := h.torrent("b", 1); again.ID == b.ID || again.ID == a.ID {
		t.Error("the number of a removed torrent is used again")
	}
}

func testPromotions(t *testing.T, h *harness) {
	torrent := h.torrent("t", 1)
	freeleech := ledger.Promotion{Rate: ledger.Rate{UpPercent: 100}, From: 1, Until: epoch}
	h.must(h.PromoteTorrent(t.Context(), infoHash(1), freeleech))
	h.mustBe(h.PromoteTorrent(t.Context(), infoHash(2), freeleech), account.ErrNotFound)
	double := ledger.Promotion{Rate: ledger.Rate{UpPercent: 200, DownPercent: 100}}
	h.must(h.PromoteSite(t.Context(), double))
	torrent.Promotion = freeleech
	tables := h.load()
	h.equal(tables.Torrents, []account.Torrent{torrent})
	h.equal(tables.Site, double)
	h.must(h.PromoteSite(t.Context(), ledger.Promotion{}))
	h.equal(h.load().Site, ledger.Promotion{})
}

func testSettings(t *testing.T, h *harness) {
	for _, want := range []account.Settings{{}, {URL: "http://tracker.example", Source: "S"}} {
		if want != (account.Settings{}) {
			h.must(h.SetSettings(t.Context(), want))
		}
		got, err := h.Settings(t.Context())
		h.must(err)
		h.equal(got, want)
	}
}

func testRevision(t *testing.T, h *harness) {
	var user account.User
	var last int64
	for i, change := range []func(){
		func() { user = h.user("anna", 1) },
		func() { h.must(h.UpdateUser(t.Context(), user)) },
		func() { h.must(h.RotateKey(t.Context(), user.ID, hash(2), account.KeyHash{})) },
		func() { h.torrent("t", 1) },
		func() {
			h.must(h.AddKey(t.Context(), account.StoredKey{Hash: hash(3), User: user.ID, Torrent: 1}, account.KeyHash{}))
		},
		func() { h.must(h.PromoteTorrent(t.Context(), infoHash(1), ledger.Promotion{})) },
		func() { h.must(h.PromoteSite(t.Context(), ledger.Promotion{})) },
		func() { h.must(h.RemoveTorrent(t.Context(), infoHash(1))) },
		func() {
			h.must(h.AddInvite(t.Context(), account.Invite{Hash: hash(9), ExpiresAt: epochTime.Add(1)}))
			_, err := h.Redeem(t.Context(), hash(9), account.User{Name: "b", CreatedAt: epochTime}, hash(10))
			h.must(err)
		},
	} {
		change()
		revision, err := h.Revision(t.Context())
		h.must(err)
		if revision == last || revision != h.load().Revision {
			t.Errorf("change %d: revision %d after %d", i, revision, last)
		}
		last = revision
	}
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{{User: user.ID, Torrent: 1}}})
	if revision, _ := h.Revision(t.Context()); revision != last {
		t.Error("a flush changes the revision: the tables would be read again each time")
	}
}

// delta adds a bit of everything.
func delta(u ledger.UserID, torrent ledger.TorrentID) ledger.Delta {
	return ledger.Delta{
		User: u, Torrent: torrent, Totals: ledger.Totals{Uploaded: 1, Downloaded: 2}, RawUploaded: 3, RawDownloaded: 4,
		SeedTime: 5, SeededUntil: 6,
	}
}

func testFlushAdds(t *testing.T, h *harness) {
	anna, berta := h.user("anna", 1), h.user("berta", 2)
	one, two := h.torrent("1", 1), h.torrent("2", 2)
	last := delta(berta.ID, two.ID)
	last.SeededUntil = 0
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{
		delta(anna.ID, one.ID), delta(anna.ID, two.ID), delta(anna.ID, ledger.AnyTorrent), delta(berta.ID, two.ID)}})
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 2, Deltas: []ledger.Delta{last}})

	h.equal(h.report("anna"), account.UserReport{User: anna, Totals: ledger.Totals{Uploaded: 3, Downloaded: 6}, RawUploaded: 9, RawDownloaded: 12, SeedTime: 15})
	h.equal(h.load().Users[1], account.UserTotals{User: berta, Totals: ledger.Totals{Uploaded: 2, Downloaded: 4}})
	torrents, err := h.Torrents(t.Context())
	h.must(err)
	h.equal(torrents, []account.TorrentReport{{Torrent: one, Uploaded: 3, Downloaded: 4, SeedTime: 5}, {Torrent: two, Uploaded: 9, Downloaded: 12, SeedTime: 15}})
	pairs, err := h.Pairs(t.Context(), anna.ID)
	h.must(err)
	record := account.PairReport{Torrent: one.ID, Totals: ledger.Totals{Uploaded: 1, Downloaded: 2}, PairTotals: ledger.PairTotals{RawUploaded: 3, RawDownloaded: 4, SeedTime: 5}}
	second := record
	second.Torrent = two.ID
	h.equal(pairs, []account.PairReport{record, second})
}

func testFlushOnce(t *testing.T, h *harness) {
	anna, torrent := h.user("anna", 1), h.torrent("t", 1)
	batch := &ledger.Batch{
		Seq: 1, Deltas: []ledger.Delta{delta(anna.ID, torrent.ID)},
		Findings: []ledger.Finding{{User: anna.ID, Torrent: torrent.ID, Kind: ledger.TooFast, Count: 1, Bytes: 1}},
	}
	want := func(uploaded int64) {
		t.Helper()
		h.equal(h.report("anna").Uploaded, uploaded)
		findings, err := h.Findings(t.Context(), false)
		h.must(err)
		h.equal(findings[0].Count, uploaded)
	}
	h.flush(account.RunID{1}, batch)
	h.flush(account.RunID{1}, batch)
	want(1)
	h.flush(account.RunID{2}, batch) // another process's first
	want(2)
	batch.Seq = 3
	h.flush(account.RunID{1}, batch)
	batch.Seq = 2
	h.flush(account.RunID{1}, batch) // it was there before the third
	want(3)
}

func testFlushSaturates(t *testing.T, h *harness) {
	anna, torrent := h.user("anna", 1), h.torrent("t", 1)
	const most = math.MaxInt64
	huge := ledger.Delta{User: anna.ID, Torrent: torrent.ID, Totals: ledger.Totals{Uploaded: most, Downloaded: most}, RawUploaded: most, RawDownloaded: most, SeedTime: most}
	single := huge
	single.Torrent = ledger.AnyTorrent
	for seq := range uint64(2) {
		h.flush(account.RunID{1}, &ledger.Batch{Seq: seq + 1, Deltas: []ledger.Delta{huge, single}})
	}
	h.equal(h.report("anna"), account.UserReport{User: anna, Totals: huge.Totals, RawUploaded: most, RawDownloaded: most, SeedTime: most})
	torrents, err := h.Torrents(t.Context())
	h.must(err)
	h.equal(torrents, []account.TorrentReport{{Torrent: torrent, Uploaded: most, Downloaded: most, SeedTime: most}})
}

// A torrent may be removed while its deltas wait.
func testFlushOfTheUnknown(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{delta(anna.ID, 99)}})
	h.equal(h.report("anna").Uploaded, int64(1))
}

func testSnatches(t *testing.T, h *harness) {
	anna, berta, torrent := h.user("anna", 1), h.user("berta", 2), h.torrent("t", 1)
	for seq, id := range []ledger.UserID{anna.ID, berta.ID, anna.ID, anna.ID} {
		d := ledger.Delta{User: id, Torrent: torrent.ID, CompletedAt: epoch + time.Duration(seq)}
		h.flush(account.RunID{1}, &ledger.Batch{Seq: uint64(seq) + 1, Deltas: []ledger.Delta{d, {User: id, Torrent: 77}}})
	}
	h.equal(h.report("anna").Snatches, int64(1))
	torrents, err := h.Torrents(t.Context())
	h.must(err)
	h.equal(torrents[0].Snatches, int64(2))
	pairs, err := h.Pairs(t.Context(), anna.ID)
	h.must(err)
	h.equal(pairs[0].CompletedAt, epoch)
}

func session(torrent ledger.TorrentID, peer byte, at time.Duration) ledger.Session {
	key := ledger.SessionKey{User: 1, Torrent: torrent, PeerID: metainfo.PeerID{peer}}
	return ledger.Session{SessionKey: key, Uploaded: 1, Downloaded: 2, Left: -1, At: at}
}

func testSessions(t *testing.T, h *harness) {
	read := func(since time.Duration) (sessions []ledger.Session, until []time.Duration) {
		t.Helper()
		h.must(h.Sessions(t.Context(), since, func(s ledger.Session, seededUntil time.Duration) error {
			sessions, until = append(sessions, s), append(until, seededUntil)
			return nil
		}))
		return sessions, until
	}
	a, b, c := session(1, 1, 30), session(1, 2, 10), session(2, 1, 20)
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{delta(1, 2)}, Sessions: []ledger.Session{a, b, c}})
	sessions, until := read(0)
	h.equal(sessions, []ledger.Session{b, c, a})
	h.equal(until, []time.Duration{0, 6, 0})
	a.Uploaded, a.Left, a.At = 100, 0, 40
	earlier := delta(1, 2)
	earlier.SeededUntil = 0
	h.flush(account.RunID{2}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{earlier}})
	_, until = read(0)
	h.equal(until, []time.Duration{0, 6, 0})
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 2, Sessions: []ledger.Session{a}, Ended: []ledger.SessionKey{c.SessionKey, session(9, 9, 9).SessionKey}})
	sessions, _ = read(0)
	h.equal(sessions, []ledger.Session{b, a})
	sessions, _ = read(11)
	h.equal(sessions, []ledger.Session{a})
	sessions, _ = read(0)
	h.equal(sessions, []ledger.Session{a}) // the older one is gone
	full := errors.New("full")
	h.mustBe(h.Sessions(t.Context(), 0, func(ledger.Session, time.Duration) error { return full }), full)
}

func testHitAndRuns(t *testing.T, h *harness) {
	rule := ledger.HitAndRun{SeedTime: 10, Within: 100, RatioPercent: 50}
	want := map[ledger.UserID]int{}
	var deltas []ledger.Delta
	for n := range 200 {
		pair := ledger.PairTotals{CompletedAt: epoch - time.Duration(n%3)*60, SeedTime: time.Duration(n % 20), RawDownloaded: 10, RawUploaded: int64(n % 7)}
		if n%11 == 0 {
			pair.CompletedAt = 0
		}
		id := ledger.UserID(n%4 + 1)
		if rule.Violated(epoch, pair) {
			want[id]++
		}
		deltas = append(deltas, ledger.Delta{User: id, Torrent: ledger.TorrentID(n + 1), CompletedAt: pair.CompletedAt,
			SeedTime: pair.SeedTime, RawDownloaded: pair.RawDownloaded, RawUploaded: pair.RawUploaded})
	}
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: deltas})
	got, err := h.HitAndRuns(t.Context(), epoch, rule)
	h.must(err)
	h.equal(got, want)
	if len(want) == 0 {
		t.Error("nobody ran")
	}
	got, err = h.HitAndRuns(t.Context(), epoch, ledger.HitAndRun{})
	h.must(err)
	h.equal(len(got), 0)
}

func testFindings(t *testing.T, h *harness) {
	found := func(kind ledger.FindingKind, last time.Duration) ledger.Finding {
		return ledger.Finding{User: 1, Torrent: 2, Kind: kind, First: last - 1, Last: last, Count: 2, Bytes: 50}
	}
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Findings: []ledger.Finding{found(ledger.TooFast, 10), found(ledger.HiddenDownload, 20)}})
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 2, Findings: []ledger.Finding{found(ledger.TooFast, 30)}})
	list, err := h.Findings(t.Context(), false)
	h.must(err)
	merged := found(ledger.TooFast, 30)
	merged.First, merged.Count, merged.Bytes = 9, 4, 100
	if len(list) != 2 || list[0].Finding != merged || list[1].Finding != found(ledger.HiddenDownload, 20) {
		t.Fatalf("%+v", list)
	}
	h.must(h.Review(t.Context(), list[0].ID, "a bug of his client", epochTime))
	h.mustBe(h.Review(t.Context(), list[0].ID, "again", epochTime), account.ErrNotFound)
	// What is found afterwards is a new entry.
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 3, Findings: []ledger.Finding{found(ledger.TooFast, 40)}})
	open, err := h.Findings(t.Context(), false)
	h.must(err)
	all, err := h.Findings(t.Context(), true)
	h.must(err)
	if len(open) != 2 || len(all) != 3 || all[1].Verdict != "a bug of his client" || !all[1].ReviewedAt.Equal(epochTime) {
		t.Errorf("%+v, %+v", open, all)
	}
}

func testRefusals(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	for seq, reason := range []string{"no", "still no"} {
		r := ledger.Refusal{User: anna.ID, InfoHash: infoHash(3), At: epoch, Reason: reason}
		h.flush(account.RunID{1}, &ledger.Batch{Seq: uint64(seq) + 1, Refusals: []ledger.Refusal{r}})
		h.equal(*h.report("anna").LastRefusal, r)
	}
}

// Several processes flush, and commands change users meanwhile.
func testConcurrent(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	const numRuns, numBatches = 3, 10
	var wg sync.WaitGroup
	for run := range byte(numRuns) {
		wg.Go(func() {
			for seq := range uint64(numBatches) {
				b := &ledger.Batch{Seq: seq + 1, Deltas: []ledger.Delta{delta(anna.ID, 1)}}
				if err := h.Flush(t.Context(), account.RunID{run}, b); err != nil {
					t.Error(err)
				}
				if _, err := h.CreateUser(t.Context(), account.User{Name: "u-" + string('a'+rune(run)) + string('a'+rune(seq))}, account.KeyHash{run + 2, byte(seq)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h.equal(h.report("anna").Uploaded, int64(numRuns*numBatches))
	h.equal(len(h.load().Keys), 1+numRuns*numBatches)
}

func testCancelled(t *testing.T, h *harness) {
	anna := h.user("anna", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Flush(ctx, account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{delta(anna.ID, 1)}}); err == nil {
		t.Error("a flush without time succeeds")
	}
	h.equal(h.report("anna").Uploaded, int64(0))
	h.flush(account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{delta(anna.ID, 1)}})
	h.equal(h.report("anna").Uploaded, int64(1))
}
