package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
)

// running is a command that runs in the background.
type running struct {
	cancel   context.CancelFunc
	begun    map[string]chan string // address, by what listens there
	result   chan result
	finished *result
}

// start runs a command in the background until stop is called, or the test
// ends.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	return startTo(t, io.Discard, args...)
}

// startTo has the results go to out, too.
func startTo(t *testing.T, out io.Writer, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{
		cancel: cancel, result: make(chan result, 1),
		begun: map[string]chan string{
			"peer": make(chan string, 1), "tracker": make(chan string, 1), "admin": make(chan string, 1), "metrics": make(chan string, 1),
		},
	}
	var stdout, stderr bytes.Buffer
	e := &env{stdout: io.MultiWriter(&stdout, out), stderr: &stderr, listening: func(what, addr string) { r.begun[what] <- addr }}
	go func() {
		code := run(ctx, e, args)
		r.result <- result{code, stdout.String(), stderr.String()}
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

// addr waits until the command listens.
func (r *running) addr(t *testing.T, what string) string {
	t.Helper()
	select {
	case addr := <-r.begun[what]:
		return addr
	case got := <-r.result:
		r.finished = &got
		t.Fatalf("it ends before it listens: exit %d\n%s", got.code, got.stderr)
		return ""
	}
}

// stop is Ctrl-C.
func (r *running) stop() result {
	r.cancel()
	if r.finished == nil {
		got := <-r.result
		r.finished = &got
	}
	return *r.finished
}

// randomFiles are files of which no two pieces are equal. The same seed gives
// the same bytes.
func randomFiles(seed byte, lengths map[string]int) map[string]string {
	files := map[string]string{}
	source := rand.NewChaCha8([32]byte{seed})
	for _, name := range slices.Sorted(maps.Keys(lengths)) {
		b := make([]byte, lengths[name])
		source.Read(b)
		files[name] = string(b)
	}
	return files
}

// equalTrees fails the test unless got holds the files of want, and no others.
func equalTrees(t *testing.T, got, want string) {
	t.Helper()
	a, b := readTree(t, got), readTree(t, want)
	if !maps.Equal(a, b) {
		t.Errorf("%s has %v, want %v as in %s, or the contents differ", got,
			slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)), want)
	}
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var mixedFiles = map[string]int{"one.bin": 100_000, "deep/er/two.bin": 300_001, "deep/three.txt": 17, "deep/empty": 0}

func TestGetFromSeedThroughTracker(t *testing.T) {
	for _, scheme := range []string{"http", "udp"} {
		t.Run(scheme, func(t *testing.T) { getFromSeedThroughTracker(t, scheme) })
	}
	// The tracker has not told the seed of who comes after its announce.
	t.Run("private", func(t *testing.T) { getFromSeedThroughTracker(t, "http", "--private") })
}

func getFromSeedThroughTracker(t *testing.T, scheme string, createFlags ...string) {
	tracker := start(t, "tracker", "run", "--open", "--http", "127.0.0.1:0", "--json")
	url := scheme + "://" + tracker.addr(t, "tracker") + "/announce"
	torrent, data := makeTorrent(t, "data", randomFiles(1, mixedFiles), append(createFlags, "--announce", url)...)
	seed := start(t, "seed", "--bind", "127.0.0.1", torrent, data)
	seed.addr(t, "peer")

	dir := filepath.Join(t.TempDir(), "made", "on the way")
	got := mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", dir, torrent)
	if !strings.HasPrefix(got.stdout, "data: 390.6 KiB in ") || !strings.HasSuffix(got.stdout, ", in "+filepath.Join(dir, "data")+"\n") {
		t.Errorf("get says %q", got.stdout)
	}
	equalTrees(t, filepath.Join(dir, "data"), data)
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left beside the data: %v, %v", left, err)
	}

	if r := seed.stop(); r.code != exitInterrupted || !strings.HasPrefix(r.stdout, "data: seeding 390.6 KiB on port ") {
		t.Errorf("the seed ends with %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r := tracker.stop()
	var stats struct{ Seeds, Leechers, Announces int }
	if err := json.Unmarshal([]byte(r.stdout), &stats); err != nil {
		t.Fatalf("%v in %q", err, r.stdout)
	}
	// Everybody said goodbye: started and stopped of the seed; started,
	// completed and stopped of the downloader.
	if r.code != exitInterrupted || stats.Seeds != 0 || stats.Leechers != 0 || stats.Announces != 5 {
		t.Errorf("the tracker ends with %d, %s", r.code, r.stdout)
	}
}

// A tracker that is started again knows its peers, if it has a state file.
func TestTrackerState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "peers")
	args := []string{"tracker", "run", "--open", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--json", "--state", state}
	tracker := start(t, args...)
	url := "http://" + tracker.addr(t, "tracker") + "/announce?port=1&info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&left=0&uploaded=0&downloaded=0"
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for range 2 {
		if r := tracker.stop(); !strings.Contains(r.stdout, `"seeds":1,`) {
			t.Errorf("the tracker ends with %s%s", r.stdout, r.stderr)
		}
		tracker = start(t, args...)
		tracker.addr(t, "tracker")
	}
	tracker.stop()
	if err := os.WriteFile(state, []byte("no such thing"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := start(t, args...)
	damaged.addr(t, "tracker")
	if r := damaged.stop(); r.code != exitInterrupted || !strings.Contains(r.stderr, "begins without its state file") {
		t.Errorf("with a damaged state file: %d, %s", r.code, r.stderr)
	}
}

// seedOf seeds data on loopback and returns the peer's address.
func seedOf(t *testing.T, torrent, data string, flags ...string) string {
	t.Helper()
	seed := start(t, append([]string{"seed", "--bind", "127.0.0.1", "--no-tracker", torrent, data}, flags...)...)
	return seed.addr(t, "peer")
}

func TestGetSelectsFiles(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(2, mixedFiles))
	dir := t.TempDir()
	args := []string{"get", "--bind", "127.0.0.1", "--no-tracker", "--peer", seedOf(t, torrent, data), "-o", dir, torrent, "--sequential"}
	mustSucceed(t, append(args, "--select", "one.bin", "--select", "empty")...)
	want, err := os.ReadFile(filepath.Join(data, "one.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "data", "one.bin")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("one.bin differs, or %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".data.shoal-resume")); err != nil {
		t.Errorf("what was verified is forgotten: %v", err)
	}

	// The rest comes later, and only the rest.
	r := mustSucceed(t, append(args, "--json")...)
	var got getJSON
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	const selectedPieces = 7 // of 16 KiB, for 100,000 bytes
	if got.Status != "complete" || got.Bytes != 400_018 || got.Downloaded > 400_018-(selectedPieces-1)*16<<10 {
		t.Errorf("the second run says %s", r.stdout)
	}
	equalTrees(t, filepath.Join(dir, "data"), data)
}

func TestGetSeveralTorrentsAtOnce(t *testing.T) {
	torrentA, dataA := makeTorrent(t, "first", randomFiles(3, map[string]int{"a": 50_000}))
	torrentB, dataB := makeTorrent(t, "second", randomFiles(4, map[string]int{"b": 60_000}))
	seed := start(t, "seed", "--bind", "127.0.0.1", torrentA, dataA, torrentB, dataB, "--json")
	addr := seed.addr(t, "peer")
	dir := t.TempDir()
	r := mustSucceed(t, "get", "--bind", "127.0.0.1", "--peer", addr, "-o", dir, torrentA, torrentB, "--json")
	if n := strings.Count(r.stdout, `"status":"complete"`); n != 2 || strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("get says\n%s", r.stdout)
	}
	equalTrees(t, filepath.Join(dir, "first"), dataA)
	equalTrees(t, filepath.Join(dir, "second"), dataB)
	r = seed.stop()
	for _, part := range []string{`"status":"seeding","uploaded":0`, `"status":"stopped","uploaded":50000`, `"status":"stopped","uploaded":60000`} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("seed says nothing of %s:\n%s", part, r.stdout)
		}
	}
}

func TestInterruptedGetGoesOnWhereItWas(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(5, map[string]int{"one.bin": 3 << 20}))
	args := []string{"get", "--bind", "127.0.0.1", "--peer", seedOf(t, torrent, data), "-o", t.TempDir(), "--json", torrent}

	// A rate that leaves time to interrupt, 48 seconds: the download is looked at
	// five times a second, or less often on a busy machine.
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	e := &env{stdout: &stdout, stderr: &stderr, looked: func(all []progress) {
		if all[0].done > 0 {
			cancel()
		}
	}}
	code := run(ctx, e, append(args, "--down", "64KiB/s"))
	var first getJSON
	if err := json.Unmarshal(stdout.Bytes(), &first); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if code != exitInterrupted || first.Status != "incomplete" || first.BytesLeft <= 0 || first.BytesLeft >= first.Bytes {
		t.Fatalf("interrupted: exit %d, %+v", code, first)
	}
	if !strings.HasSuffix(stderr.String(), "shoal: interrupted\n") {
		t.Errorf("stderr %q", &stderr)
	}

	if got := downloadedBefore(t, torrent, filepath.Dir(first.Path)); got != first.Downloaded {
		t.Errorf("the resume file counts %d bytes downloaded, not %d", got, first.Downloaded)
	}

	var second getJSON
	r := mustSucceed(t, args...)
	if err := json.Unmarshal([]byte(r.stdout), &second); err != nil {
		t.Fatal(err)
	}
	if second.Status != "complete" || second.Downloaded != first.BytesLeft {
		t.Errorf("%d bytes were missing, but %d were downloaded (%s)", first.BytesLeft, second.Downloaded, r.stderr)
	}
	equalTrees(t, second.Path, data)
}

// downloadedBefore reads what earlier runs have downloaded out of the resume
// file in dir.
func downloadedBefore(t *testing.T, torrent, dir string) int64 {
	t.Helper()
	m, err := metainfo.Load(torrent)
	if err != nil {
		t.Fatal(err)
	}
	store, err := openDownload(dir, &m.Info, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	resume, state, err := piecestore.OpenResume(resumePath(dir, &m.Info), m.InfoHash, store)
	if err != nil {
		t.Fatal(err)
	}
	if err := resume.Close(); err != nil {
		t.Fatal(err)
	}
	return state.Downloaded
}

func TestGetChecksDataThatIsThereAlready(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(6, mixedFiles))
	// No peer is needed, and none is asked: there is nothing to get.
	r := mustSucceed(t, "get", "-o", filepath.Dir(data), torrent)
	if !strings.Contains(r.stdout, "data: complete already, in ") || !strings.Contains(r.stderr, "no resume file") {
		t.Errorf("get says\n%s%s", r.stdout, r.stderr)
	}

	// A damaged piece is found and fetched, and nothing else.
	addr := seedOf(t, torrent, data)
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "data"), os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(copied, "data", "one.bin"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), 50_000); err != nil {
		t.Fatal(err)
	}
	r = mustSucceed(t, "get", "--bind", "127.0.0.1", "--peer", addr, "-o", copied, "--json", torrent)
	if !strings.Contains(r.stdout, `"downloaded":16384,`) {
		t.Errorf("get says %s", r.stdout)
	}
	equalTrees(t, filepath.Join(copied, "data"), data)
}

func TestGetFindsNobodyWithinTimeout(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", randomFiles(7, mixedFiles), "--announce", "http://127.0.0.1:1/announce")
	r := shoalUntil(t, whenTold("trying again later"), "get", "--bind", "127.0.0.1", "-o", t.TempDir(), torrent)
	if r.code != exitNotFound || !strings.Contains(r.stderr, "shoal: get: nobody had anything for 1 torrent within 1h0m0s; try again later") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	if n := strings.Count(r.stderr, "http://127.0.0.1:1"); n != 1 || !strings.Contains(r.stderr, "trying again later") {
		t.Errorf("%d lines about the unreachable tracker, want one:\n%s", n, r.stderr)
	}
	if want := "data: incomplete, 390.6 KiB of 390.6 KiB are missing; the same command goes on from here\n"; r.stdout != want {
		t.Errorf("stdout %q", r.stdout)
	}
}

func TestGetSeedsAsLongAsAsked(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(8, mixedFiles))
	first := start(t, "get", "--bind", "127.0.0.1", "-o", filepath.Dir(data), "--seed-ratio", "1", torrent)
	addr := first.addr(t, "peer") // it is complete: it seeds
	dir := t.TempDir()
	mustSucceed(t, "get", "--bind", "127.0.0.1", "--peer", addr, "-o", dir, "--seed-time", "1ms", torrent)
	if r := <-first.result; r.code != exitDone {
		t.Errorf("after its ratio it ends with %d\n%s", r.code, r.stderr)
	} else {
		first.finished = &r
	}
}

func TestFullDiskIsToldOnce(t *testing.T) {
	var tr transfer
	var told []string
	full := errors.New("the disk is full")
	for _, err := range []error{nil, full, fmt.Errorf("piece 7: %w", full), full, nil, nil, full} {
		told = append(told, tr.storeNews(err)...)
	}
	want := []string{"paused: the disk is full", "the disk takes data again; going on", "paused: the disk is full"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestVerdictOfIncompleteDownloads(t *testing.T) {
	r := &getRun{}
	some, none := &transfer{gaveUp: true}, &transfer{gaveUp: true}
	some.stats.Downloaded = 1
	for _, test := range []struct {
		transfers []*transfer
		want      int
	}{
		{[]*transfer{{}}, exitDone},
		{[]*transfer{none, {}}, exitNotFound},
		{[]*transfer{some, {}}, exitMismatch},
		{[]*transfer{some, none}, exitMismatch},
	} {
		if got := exitCode(r.verdict(&session{transfers: test.transfers})); got != test.want {
			t.Errorf("exit code %d, want %d", got, test.want)
		}
	}
}

func TestTransferErrors(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(9, mixedFiles))
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	busyAddr := busy.Addr().String()
	_, busyPort, err := net.SplitHostPort(busyAddr)
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	small := filepath.Join(t.TempDir(), "data")
	writeFiles(t, small, map[string]string{"one.bin": "short"})
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"port in use", []string{"get", "--bind", "127.0.0.1", "--port", busyPort, "-o", empty, torrent}, exitFailed, "in use"},
		{"folder is a file", []string{"get", "-o", torrent, torrent}, exitFailed, "is not a folder"},
		{"folder below a file", []string{"get", "-o", filepath.Join(torrent, "x"), torrent}, exitFailed, "is not a folder"},
		{"magnet into a file", []string{"get", "-o", torrent, "--no-dht", magnetTo(t, torrent, "127.0.0.1:1")}, exitFailed, "is not a folder"},
		{"no torrent", []string{"get", filepath.Join(empty, "none.torrent")}, exitFailed, "no such file"},
		{"longer file", []string{"get", "-o", filepath.Dir(longer(t)), torrent}, exitFailed, "longer than in the torrent"},
		{"same twice", []string{"get", "-o", empty, torrent, torrent}, exitUsage, "same torrent"},
		{"nothing selected", []string{"get", "-o", empty, "--select", "*.mkv", torrent}, exitUsage, "it has deep/empty, deep/er/two.bin"},
		{"seed missing path", []string{"seed", torrent, filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{"seed port in use", []string{"seed", "--bind", "127.0.0.1", "--port", busyPort, torrent, data}, exitFailed, "in use"},
		{"seed nothing there", []string{"seed", torrent, empty}, exitMismatch, "nothing to seed"},
		{"seed incomplete", []string{"seed", torrent, small}, exitMismatch, "not seeded: 4 of 4 files missing or damaged, first deep/empty (missing)"},
		{"seed trusted incomplete", []string{"seed", "--trust", torrent, small}, exitMismatch, "not seeded"},
		{"seed folder of nothing", []string{"seed", "--data", empty, empty}, exitFailed, "no .torrent file"},
		{"tracker in use", []string{"tracker", "run", "--open", "--http", busyAddr}, exitFailed, "is in use; choose another address with --http"},
		{"tracker UDP in use", []string{"tracker", "run", "--open", "--http", "127.0.0.1:0", "--udp", busyUDP(t)}, exitFailed, "is in use; choose another address with --udp"},
		{"tracker elsewhere", []string{"tracker", "run", "--open", "--http", "240.0.0.1:0"}, exitFailed, "240.0.0.1:0 is not an address of this machine"},
		{"tracker UDP elsewhere", []string{"tracker", "run", "--open", "--http", "127.0.0.1:0", "--udp", "240.0.0.1:0"}, exitFailed, "240.0.0.1:0 is not an address of this machine"},
		{"tracker whitelist", []string{"tracker", "run", "--whitelist", filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{"share missing path", []string{"share", "--bind", "127.0.0.1", "--http", "127.0.0.1:0", filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{"share tracker in use", []string{"share", "--bind", "127.0.0.1", "--http", busyAddr, data}, exitFailed, "is in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := shoal(t, test.args...)
			if r.code != test.code || !strings.Contains(r.stderr, test.want) {
				t.Errorf("exit %d, want %d and a line with %q:\n%s", r.code, test.code, test.want, r.stderr)
			}
		})
	}
}

// longer makes a folder called data with a file that is longer than the
// torrent of mixedFiles says, and returns its path.
func longer(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	writeFiles(t, dir, map[string]string{"one.bin": strings.Repeat("mine", 30_000)})
	return dir
}

func TestDownloadThatDoesNotFit(t *testing.T) {
	err := checkSpace(t.TempDir(), 1<<62)
	if err == nil || !strings.Contains(err.Error(), "not enough room") || !strings.Contains(err.Error(), "-o") {
		t.Errorf("4 EiB: %v", err)
	}
	if err := checkSpace(t.TempDir(), 0); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

func TestSeedOfAFolderOfTorrents(t *testing.T) {
	torrentA, dataA := makeTorrent(t, "first", randomFiles(10, map[string]int{"a": 50_000}))
	torrentB, dataB := makeTorrent(t, "second", randomFiles(11, map[string]int{"b": 50_000}))
	torrents, data := t.TempDir(), t.TempDir()
	for from, to := range map[string]string{
		torrentA: filepath.Join(torrents, "a.torrent"), torrentB: filepath.Join(torrents, "b.torrent"),
		dataA: filepath.Join(data, "first"), dataB: filepath.Join(data, "second"),
	} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	// One of them is damaged, and a third one no torrent: they are named, and
	// the first one is seeded.
	writeFiles(t, filepath.Join(data, "second"), map[string]string{"b": strings.Repeat("x", 50_000)})
	writeFiles(t, torrents, map[string]string{"c.torrent": "hello"})
	seed := start(t, "seed", "--bind", "127.0.0.1", torrents, "--data", data)
	addr := seed.addr(t, "peer")
	dir := t.TempDir()
	mustSucceed(t, "get", "--bind", "127.0.0.1", "--peer", addr, "-o", dir, filepath.Join(torrents, "a.torrent"))
	equalTrees(t, filepath.Join(dir, "first"), filepath.Join(data, "first"))
	r := seed.stop()
	if r.code != exitInterrupted || !strings.Contains(r.stderr, "second: not seeded: 1 of 1 file missing or damaged, first b (damaged)") ||
		!strings.Contains(r.stderr, "c.torrent: not a torrent") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

func TestShareServesWhoeverHasTheTorrent(t *testing.T) {
	dir := t.TempDir()
	data, torrent := filepath.Join(dir, "data"), filepath.Join(dir, "x.torrent")
	writeFiles(t, data, randomFiles(12, mixedFiles))
	for range 2 { // the second time, the torrent is there already
		share := start(t, "share", "--bind", "127.0.0.1", "--http", "127.0.0.1:0", "-o", torrent, "--json", data)
		share.addr(t, "peer")
		got := t.TempDir()
		mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", got, torrent)
		equalTrees(t, filepath.Join(got, "data"), data)
		if r := share.stop(); r.code != exitInterrupted || !strings.Contains(r.stdout, `"tracker":"http://127.0.0.1:`) {
			t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	}
}

func TestTrackerKeepsToItsWhitelist(t *testing.T) {
	torrent, data := makeTorrent(t, "listed", randomFiles(13, mixedFiles))
	other, _ := makeTorrent(t, "other", randomFiles(14, mixedFiles))
	tracker := start(t, "tracker", "run", "--whitelist", filepath.Dir(torrent), "--http", "127.0.0.1:0")
	url := "http://" + tracker.addr(t, "tracker") + "/announce"
	for _, path := range []string{torrent, other} {
		announced := filepath.Join(t.TempDir(), "announced.torrent")
		retracker(t, path, announced, url)
		if path == torrent {
			start(t, "seed", "--bind", "127.0.0.1", announced, data).addr(t, "peer")
			mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", t.TempDir(), announced)
			continue
		}
		r := shoalUntil(t, whenTold("refuses"), "get", "--bind", "127.0.0.1", "-o", t.TempDir(), announced)
		if r.code != exitNotFound || !strings.Contains(r.stderr, "refuses") {
			t.Errorf("exit %d\n%s", r.code, r.stderr)
		}
	}
	if r := tracker.stop(); r.code != exitInterrupted || !strings.Contains(r.stderr, "\"tracking 1 torrent\" http=127.0.0.1:") ||
		!strings.Contains(r.stderr, "refused=1") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestGetMakesLinks has a torrent with symbolic links (BEP 47): one to a file of
// its own, and one that would lead out of the folder.
func TestGetMakesLinks(t *testing.T) {
	torrent := filepath.Join(t.TempDir(), "links.torrent")
	writeFiles(t, filepath.Dir(torrent), map[string]string{"links.torrent": "d4:infod5:filesl" +
		"d6:lengthi1e4:pathl3:sub4:fileee" +
		"d4:attr1:l6:lengthi0e4:pathl2:to2:ine12:symlink pathl3:sub4:fileee" +
		"d4:attr1:l6:lengthi0e4:pathl3:oute12:symlink pathl2:..2:..6:passwdee" +
		"e4:name1:d12:piece lengthi16384e6:pieces20:" + strings.Repeat("x", 20) + "ee"})
	dir := t.TempDir()
	for range 2 { // the links are there the second time
		r := shoal(t, "get", "--bind", "127.0.0.1", "--no-tracker", "--timeout", "1ms", "-o", dir, torrent)
		if r.code != exitNotFound {
			t.Fatalf("exit %d\n%s", r.code, r.stderr)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "d", "to", "in")); err != nil || target != filepath.Join("..", "sub", "file") {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if stat, err := os.Lstat(filepath.Join(dir, "d", "out")); err != nil || !stat.Mode().IsRegular() || stat.Size() > 0 {
		t.Errorf("the link that leads out became %v, %v", stat, err)
	}
}

// busyUDP returns an address that is in use for UDP.
func busyUDP(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// retracker writes a torrent anew with a tracker.
func retracker(t *testing.T, from, to, url string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	// "announce" comes before every key that create writes.
	announce := fmt.Sprintf("d8:announce%d:%s", len(url), url)
	if err := os.WriteFile(to, append([]byte(announce), b[1:]...), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestDemo(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var stdout, stderr bytes.Buffer
	e := &env{stdout: &stdout, stderr: &stderr}
	if err := demo(t.Context(), e, demoSize{totalLen: 1 << 20, pieceLen: 32 << 10, downloaders: 3}); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for _, want := range []string{"\nseed ", "\ndownloader 3 ", "Every byte of every copy is right. The seed sent "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if n := strings.Count(stdout.String(), " yes\n"); n != 4 {
		t.Errorf("%d copies verified, want 4:\n%s", n, &stdout)
	}
	if left := readTree(t, temp); len(left) > 0 {
		t.Errorf("left behind: %d files", len(left))
	}
}

func TestDemoThatIsInterruptedLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	e := &env{stdout: &stdout, stderr: &bytes.Buffer{}, listening: func(string, string) { cancel() }}
	err := demo(ctx, e, demoSize{totalLen: 1 << 20, pieceLen: 32 << 10, downloaders: 2})
	if exitCode(err) != exitInterrupted {
		t.Errorf("interrupted: %v", err)
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestJSONKeys holds the keys stable that docs/cli.md documents.
func TestJSONKeys(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	torrent, data := makeTorrent(t, "data", randomFiles(15, mixedFiles), "--announce", "http://127.0.0.1:1/announce", "--comment", "c", "--source", "s")
	link := strings.TrimSpace(mustSucceed(t, "show", "--magnet", torrent).stdout)
	damaged := filepath.Join(t.TempDir(), "data")
	writeFiles(t, damaged, map[string]string{"one.bin": "damaged"})
	got := t.TempDir()
	stopped := func(args ...string) result {
		r := start(t, args...)
		what := "peer"
		if args[0] == "tracker" {
			what = args[0]
		}
		r.addr(t, what)
		return r.stop()
	}
	var all strings.Builder
	for _, of := range []struct {
		name string
		result
	}{
		{"create", shoal(t, "create", "--json", "-o", filepath.Join(got, "x.torrent"), data)},
		{"show", shoal(t, "show", "--json", torrent)},
		{"show MAGNET", shoal(t, "show", "--json", link)},
		{"verify", shoal(t, "verify", "--json", torrent, damaged)},
		{"get", shoal(t, "get", "--json", "-o", filepath.Dir(data), torrent)},
		{"seed", stopped("seed", "--json", "--bind", "127.0.0.1", torrent, data)},
		{"share", stopped("share", "--json", "--bind", "127.0.0.1", "--http", "127.0.0.1:0", "-o", filepath.Join(got, "y.torrent"), data)},
		{"tracker", stopped("tracker", "run", "--json", "--open", "--http", "127.0.0.1:0")},
		{"version", shoal(t, "version", "--json")},
	} {
		line, _, _ := strings.Cut(of.stdout, "\n")
		found := slices.Sorted(maps.Keys(keys(t, line)))
		fmt.Fprintf(&all, "%s: %s\n", of.name, strings.Join(found, " "))
		for _, key := range found {
			if !bytes.Contains(docs, []byte("`"+key+"`")) {
				t.Errorf("docs/cli.md does not document the key %s of %s", key, of.name)
			}
		}
	}
	golden(t, "json-keys.txt", all.String())
}

// docs/cli.md names every command and every flag.
func TestDocsNameEveryFlag(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(docs), "\n## ")
	for _, c := range withSubs(commands()) {
		first, _, _ := strings.Cut(c.name, " ")
		i := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, "`shoal "+first+"`") })
		if i < 0 || !strings.Contains(sections[i], "shoal "+c.name) {
			t.Errorf("docs/cli.md has no section on %s", c.name)
			continue
		}
		c.eachFlag(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(sections[i], "`--"+f.Name+"`") && !strings.Contains(sections[i], "`--"+f.Name+" ") {
				t.Errorf("docs/cli.md does not name --%s of %s", f.Name, c.name)
			}
		})
	}
}
