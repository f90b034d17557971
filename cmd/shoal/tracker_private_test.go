package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

// privateTracker is a private tracker that runs, with its database.
type privateTracker struct {
	*running
	t   *testing.T
	db  string
	url string
}

func startPrivate(t *testing.T, flags ...string) *privateTracker {
	t.Helper()
	p := &privateTracker{t: t, db: filepath.Join(t.TempDir(), "new", "tracker.db")}
	mustSucceed(t, "tracker", "init", "--db", p.db, "--url", "http://127.0.0.1:1", "--source", "TEST")
	config := filepath.Join(t.TempDir(), "quick.toml")
	writeFiles(t, filepath.Dir(config), map[string]string{"quick.toml": "users.write_every = \"20ms\" # so that changes hold at once\n"})
	p.running = start(t, append([]string{"tracker", "run", "--config", config, "--private", "--db", p.db, "--http", "127.0.0.1:0"}, flags...)...)
	p.url = "http://" + p.addr(t, "tracker")
	st, err := sqlite.Open(t.Context(), p.db) // its port is known only now
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.SetSettings(t.Context(), account.Settings{URL: p.url, Source: "TEST"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// do runs "shoal tracker" and reads the JSON that it prints.
func (p *privateTracker) do(into any, args ...string) {
	p.t.Helper()
	r := mustSucceed(p.t, append([]string{"tracker"}, append(args, "--json", "--db", p.db)...)...)
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		p.t.Fatalf("%v: %s", err, r.stdout)
	}
}

// addAnna adds a torrent, and a user of that name who may announce it at the URL.
func (p *privateTracker) addAnna() (h metainfo.InfoHash, announceURL string) {
	p.t.Helper()
	torrent, _ := makeTorrent(p.t, "data", someFiles())
	var added addedJSON
	p.do(&added, "torrent", "add", torrent)
	var key userKeyJSON
	p.do(&key, "user", "add", "anna")
	h, err := metainfo.ParseInfoHash(added.InfoHash)
	if err != nil {
		p.t.Fatal(err)
	}
	return h, key.AnnounceURL
}

// await repeats a look at a user until it is as wanted.
func (p *privateTracker) await(name string, what string, wanted func(userJSON) bool) {
	p.t.Helper()
	begin := time.Now()
	for {
		var u userJSON
		p.do(&u, "user", "show", name)
		if wanted(u) {
			return
		}
		if time.Since(begin) > patience {
			p.t.Fatalf("%s: not %s: %+v", name, what, u)
		}
	}
}

// Two users exchange a file, and what they moved is counted for both.
func TestPrivateTracker(t *testing.T) {
	logPath := filepath.Join(t.TempDir(), "announces")
	p := startPrivate(t, "--announce-log", logPath)
	torrent, data := makeTorrent(t, "data", randomFiles(21, mixedFiles), "--announce", "http://foreign.example/announce")
	var added addedJSON
	p.do(&added, "torrent", "add", torrent)
	if added.InfoHash == added.From || len(added.Changes) != 4 {
		t.Errorf("%+v", added)
	}
	files := map[string]string{}
	for _, name := range []string{"anna", "berta"} {
		var key userKeyJSON
		p.do(&key, "user", "add", name)
		if !regexp.MustCompile(`^` + regexp.QuoteMeta(p.url) + `/[0-9a-f]{32}/announce$`).MatchString(key.AnnounceURL) {
			t.Errorf("announce URL %q", key.AnnounceURL)
		}
		files[name] = filepath.Join(t.TempDir(), name+".torrent")
		mustSucceed(t, "tracker", "torrent", "get", added.InfoHash, "--user", name, "-o", files[name], "--db", p.db)
	}
	// The tracker hears of the new users within two seconds.
	p.awaitServed(files["berta"])
	seed := start(t, "seed", "--bind", "127.0.0.1", files["anna"], data)
	seed.addr(t, "peer")
	dir := t.TempDir()
	mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", dir, files["berta"])
	seed.stop()
	m, err := metainfo.Load(files["berta"])
	if err != nil {
		t.Fatal(err)
	}
	size := m.Info.Geometry.TotalLen()
	p.await("berta", "all downloaded, once completed", func(u userJSON) bool { return u.Downloaded == size && u.Snatches == 1 })
	p.await("anna", "all uploaded", func(u userJSON) bool { return u.Uploaded == size && u.Downloaded == 0 })

	var sums trackerStatsJSON
	p.do(&sums, "stats")
	if sums.Users != 2 || sums.Torrents != 1 || sums.Uploaded != size || sums.Downloaded != size || sums.Snatches != 1 {
		t.Errorf("%+v", sums)
	}
	var tracked trackedJSON
	p.do(&tracked, "torrent", "list")
	if tracked.InfoHash != added.InfoHash || tracked.Bytes != size || tracked.Downloaded != size || tracked.Snatches != 1 {
		t.Errorf("%+v", tracked)
	}
	got := p.stop()
	if got.code != exitInterrupted {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	for name, file := range files {
		m, err := metainfo.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		key := strings.Split(m.Announce[0][0], "/")[3]
		if strings.Contains(got.stderr+got.stdout, key) {
			t.Errorf("the tracker prints %s's key", name)
		}
	}
	wantInLog(t, logPath, size)
}

// awaitServed waits until announces by the key of a torrent are not refused.
func (p *privateTracker) awaitServed(torrent string) {
	p.t.Helper()
	m, err := metainfo.Load(torrent)
	if err != nil {
		p.t.Fatal(err)
	}
	p.awaitKey(m.Announce[0][0])
}

// awaitKey waits until announces to a URL are not refused.
func (p *privateTracker) awaitKey(announceURL string) {
	p.t.Helper()
	scrape := strings.Replace(announceURL, "/announce", "/scrape", 1) + "?info_hash=aaaaaaaaaaaaaaaaaaaa"
	for begin := time.Now(); strings.Contains(fetchBody(p.t, scrape), "failure"); {
		if time.Since(begin) > patience {
			p.t.Fatal("the key is not known")
		}
	}
}

func fetchBody(t *testing.T, url string) string {
	t.Helper()
	_, body := ask(t, url, "")
	return body
}

// wantInLog finds an announce of a whole download in the log.
func wantInLog(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var downloads []int64
	numDamaged, err := announcelog.Read(f, func(e *announcelog.Entry) error {
		downloads = append(downloads, e.Downloaded)
		return nil
	})
	if err != nil || numDamaged > 0 || !slices.Contains(downloads, size) {
		t.Errorf("the log has %v, %d damaged, %v", downloads, numDamaged, err)
	}
}

// Keys that were replaced, users who are disabled and torrents that are gone
// are refused, with a reason that the user can look up.
func TestPrivateTrackerRefuses(t *testing.T) {
	p := startPrivate(t, "--client", "-SH", "--quiet")
	h, announceURL := p.addAnna()
	announce := func(id string) string {
		return fetchBody(t, fmt.Sprintf("%s?info_hash=%s&peer_id=%s&port=1&uploaded=0&downloaded=0&left=0", announceURL, urlEscaped(h[:]), id))
	}
	await := func(want string) {
		t.Helper()
		for begin := time.Now(); ; {
			got := announce("-SH0100-aaaaaaaaaaaa")
			if strings.Contains(got, want) {
				return
			}
			if time.Since(begin) > patience {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	await("8:completei1e")
	if got := announce("-XX0100-aaaaaaaaaaaa"); !strings.Contains(got, "not on this tracker's list") {
		t.Errorf("%q", got)
	}
	p.await("anna", "told of her client", func(u userJSON) bool { return strings.Contains(u.Refused, "your client is not") })
	mustSucceed(t, "tracker", "user", "disable", "anna", "--db", p.db)
	await("your account is disabled")
	mustSucceed(t, "tracker", "user", "enable", "anna", "--db", p.db)
	await("8:completei1e")
	mustSucceed(t, "tracker", "torrent", "remove", h.String(), "--db", p.db)
	await("not registered")
	mustSucceed(t, "tracker", "user", "rotate-key", "anna", "--db", p.db)
	await("not known here")
	if r := shoal(t, "tracker", "user", "show", "nobody", "--db", p.db); r.code != exitNotFound {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

func urlEscaped(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, "%%%02x", c)
	}
	return s.String()
}

// Invitations, promotions, the review list and backups, without a tracker.
func TestPrivateTrackerCommands(t *testing.T) {
	p := &privateTracker{t: t, db: filepath.Join(t.TempDir(), "tracker.db")}
	if r := shoal(t, "tracker", "user", "list", "--db", p.db); r.code != exitFailed || !strings.Contains(r.stderr, "shoal tracker init") {
		t.Errorf("without a database: exit %d\n%s", r.code, r.stderr)
	}
	r := mustSucceed(t, "tracker", "init", "--db", p.db, "--url", "https://tracker.example/")
	if !strings.Contains(r.stdout, "https://tracker.example\n") || !strings.Contains(r.stdout, "tracker.example") {
		t.Error(r.stdout)
	}
	if r := shoal(t, "tracker", "init", "--db", p.db); r.code != exitFailed || !strings.Contains(r.stderr, "is there already") {
		t.Errorf("again: exit %d\n%s", r.code, r.stderr)
	}
	mustSucceed(t, "tracker", "user", "add", "anna", "--db", p.db)
	var inv inviteJSON
	p.do(&inv, "invite", "--by", "anna", "--role", "uploader")
	mustSucceed(t, "tracker", "user", "add", "berta", "--invite", inv.Code, "--db", p.db)
	if r := shoal(t, "tracker", "user", "add", "carla", "--invite", inv.Code, "--db", p.db); r.code != exitNotFound {
		t.Errorf("a used invitation: exit %d\n%s", r.code, r.stderr)
	}
	var berta userJSON
	if p.do(&berta, "user", "show", "berta"); berta.Role != "uploader" || berta.State != "active" || berta.Ratio != nil {
		t.Errorf("%+v", berta)
	}
	torrent, _ := makeTorrent(t, "data", someFiles())
	var added addedJSON
	p.do(&added, "torrent", "add", torrent)
	mustSucceed(t, "tracker", "promote", "--down", "0", "--for", "48h", "--db", p.db)
	mustSucceed(t, "tracker", "promote", "--up", "200", added.InfoHash, "--db", p.db)
	if r := shoal(t, "tracker", "promote", "--up", "200", strings.Repeat("0", 40), "--db", p.db); r.code != exitNotFound {
		t.Errorf("a torrent that is not there: exit %d\n%s", r.code, r.stderr)
	}
	mustSucceed(t, "tracker", "promote", "--end", "--db", p.db)
	if r := mustSucceed(t, "tracker", "review", "--db", p.db); r.stdout != "" {
		t.Error(r.stdout)
	}
	if r := shoal(t, "tracker", "review", "7", "fine", "--db", p.db); r.code != exitNotFound {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	mustSucceed(t, "tracker", "backup", backup, "--db", p.db)
	mustSucceed(t, "tracker", "restore", backup, "--db", restored)
	if r := mustSucceed(t, "tracker", "user", "list", "--db", restored); strings.Count(r.stdout, "\n") != 3 { // with the header
		t.Error(r.stdout)
	}
	if r := shoal(t, "tracker", "restore", backup, "--db", p.db); r.code != exitFailed || !strings.Contains(r.stderr, "move it away") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestPrivateJSONKeys finds every key of the commands in docs/cli.md.
func TestPrivateJSONKeys(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{userKeyJSON{}, userJSON{}, inviteJSON{}, addedJSON{}, trackedJSON{}, gotJSON{}, trackerStatsJSON{}, reviewJSON{}, replayedJSON{}} {
		for field := range reflect.TypeOf(v).Fields() {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(string(docs), "`"+key+"`") {
				t.Errorf("docs/cli.md does not document the key %s of %T", key, v)
			}
		}
	}
}

// A torrent is got by its name, unless several have it.
func TestTorrentByName(t *testing.T) {
	db := filepath.Join(t.TempDir(), "tracker.db")
	mustSucceed(t, "tracker", "init", "--db", db, "--url", "http://127.0.0.1:1")
	mustSucceed(t, "tracker", "user", "add", "anna", "--db", db)
	add := func(seed byte) {
		torrent, _ := makeTorrent(t, "data", randomFiles(seed, mixedFiles))
		mustSucceed(t, "tracker", "torrent", "add", torrent, "--db", db)
	}
	get := func(name string) int {
		return shoal(t, "tracker", "torrent", "get", name, "--user", "anna", "-o", filepath.Join(t.TempDir(), "x.torrent"), "--db", db).code
	}
	add(1)
	if code := get("data"); code != exitDone {
		t.Errorf("exit %d", code)
	}
	if code := get("dat"); code != exitNotFound {
		t.Errorf("a name that nothing has: exit %d", code)
	}
	add(2)
	if code := get("data"); code != exitUsage {
		t.Errorf("a name that two have: exit %d", code)
	}
}

// A key that could not be printed is lost, but not the user, and he gets another.
func TestKeysThatCannotBePrinted(t *testing.T) {
	db := filepath.Join(t.TempDir(), "tracker.db")
	mustSucceed(t, "tracker", "init", "--db", db, "--url", "http://127.0.0.1:1")
	const advice = `"shoal tracker user rotate-key anna" gives`
	for _, args := range [][]string{{"add", "anna"}, {"rotate-key", "anna"}, {"rotate-key", "anna", "--json"}} {
		for _, err := range []error{syscall.ENOSPC, syscall.EPIPE} {
			var stderr strings.Builder
			code := run(t.Context(), &env{stdout: brokenWriter{err}, stderr: &stderr}, append([]string{"tracker", "user", "--db", db}, args...))
			if code != exitFailed || !strings.Contains(stderr.String(), advice) {
				t.Errorf("%v, %v: exit %d\n%s", args, err, code, &stderr)
			}
		}
	}
	if r := shoal(t, "tracker", "user", "add", "anna", "--db", db); r.code != exitFailed || !strings.Contains(r.stderr, advice) {
		t.Errorf("once more: exit %d\n%s", r.code, r.stderr)
	}
}
