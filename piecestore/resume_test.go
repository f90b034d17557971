package piecestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// download is a torrent of eight pieces of 1,000 bytes in three files, two of
// which hold parts of piece 2, being downloaded.
type download struct {
	t      *testing.T
	dir    string
	layout *Layout
	files  *Files
	resume *Resume
	state  State
}

var testHash = metainfo.InfoHash{1, 2, 3}

func testLayout(t testing.TB) *Layout {
	geo, err := metainfo.NewGeometry(8000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := NewLayout(geo, []File{
		{Path: "a", Length: 2500}, {Path: "empty"}, {Path: "b", Length: 1500}, {Path: "c", Length: 4000},
	})
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

func newDownload(t *testing.T) *download {
	d := &download{t: t, dir: t.TempDir(), layout: testLayout(t)}
	d.start()
	return d
}

func (d *download) path() string { return filepath.Join(d.dir, ".t.shoal-resume") }

// start begins a run.
func (d *download) start() {
	d.t.Helper()
	var err error
	if d.files, err = OpenFiles(d.dir, d.layout, nil); err != nil {
		d.t.Fatal(err)
	}
	if d.resume, d.state, err = OpenResume(d.path(), testHash, d.files); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.files.Close() })
}

// kill ends a run as kill -9 does: nothing more is written.
func (d *download) kill() {
	d.resume.file.Close()
	d.files.Close()
}

func (d *download) killAndStart() {
	d.t.Helper()
	d.kill()
	d.start()
}

func (d *download) write(pieceIndex int) {
	d.t.Helper()
	b := bytes.Repeat([]byte{byte('A' + pieceIndex)}, d.layout.geo.PieceLen(pieceIndex))
	if err := d.files.WriteAt([][]byte{b}, d.layout.geo.PieceOffset(pieceIndex)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *download) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// get downloads pieces from beginning to end.
func (d *download) get(pieceIndices ...int) {
	d.t.Helper()
	for _, i := range pieceIndices {
		d.must(d.resume.Begin(i))
		d.write(i)
		d.must(d.resume.Done(i))
	}
}

// wants fails the test unless the run started with these pieces.
func (d *download) wants(verified, recheck string) {
	d.t.Helper()
	if got := setString(d.state.Verified); got != verified {
		d.t.Errorf("verified: %q, want %q", got, verified)
	}
	if got := setString(d.state.Recheck); got != recheck {
		d.t.Errorf("to be checked: %q, want %q", got, recheck)
	}
}

func setString(s *bitfield.Set) string {
	var b strings.Builder
	for i := range s.Members() {
		fmt.Fprint(&b, i)
	}
	return b.String()
}

// touch changes the time of a file to ns nanoseconds after what it is.
func (d *download) touch(name string, ns time.Duration) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	info, err := os.Stat(path)
	d.must(err)
	at := info.ModTime().Add(ns)
	d.must(os.Chtimes(path, at, at))
}

// newBoot makes the resume file one of before a restart of the system.
func (d *download) newBoot() {
	d.t.Helper()
	d.kill()
	b, err := os.ReadFile(d.path())
	d.must(err)
	st, n, err := parseResume(b, testHash, d.layout.geo, d.layout.NumFiles())
	d.must(err)
	if n != len(b) {
		d.t.Fatalf("only %d of %d bytes are good", n, len(b))
	}
	st.boot = "another"
	b, err = appendCheckpoint(nil, testHash, d.layout.geo, st)
	d.must(err)
	d.must(os.WriteFile(d.path(), b, 0o666))
	d.start()
}

func TestResumeFresh(t *testing.T) {
	d := newDownload(t)
	d.wants("", "")
	if d.state.Reason != "" {
		t.Errorf("reason %q for an empty folder", d.state.Reason)
	}
}

func TestResumeCleanStop(t *testing.T) {
	d := newDownload(t)
	d.get(0, 3, 7)
	d.must(d.resume.SetTotals(11, 22))
	d.must(d.resume.Close())
	if err := d.resume.Begin(1); err == nil {
		t.Error("Begin after Close succeeds")
	}
	d.files.Close()
	d.start()
	d.wants("037", "")
	if d.state.Uploaded != 11 || d.state.Downloaded != 22 {
		t.Errorf("totals %d, %d; want 11, 22", d.state.Uploaded, d.state.Downloaded)
	}
	if d.state.Reason != "" {
		t.Errorf("reason %q", d.state.Reason)
	}
}

// TestResumeKill kills between any two steps of several downloads: what was
// done is trusted, what was in flight is checked, nothing else.
func TestResumeKill(t *testing.T) {
	d := newDownload(t)
	d.get(0, 7)
	d.must(d.resume.Begin(1))
	d.killAndStart()
	d.wants("07", "") // begun, and the file is too short to hold it
	d.must(d.resume.Begin(1))
	d.write(1)
	d.killAndStart()
	d.wants("07", "1")
	d.killAndStart() // before it was checked
	d.wants("07", "1")
	d.must(d.resume.Done(1))
	d.get(2)
	d.killAndStart()
	d.wants("0127", "")
	d.must(d.resume.Begin(3))
	d.write(3)
	d.must(d.resume.Absent(3)) // it failed its hash
	d.killAndStart()
	d.wants("0127", "")
	d.must(d.resume.Begin(4))
	d.get(5) // of the same file, while 4 is in flight
	d.write(4)
	d.killAndStart()
	d.wants("01257", "4")
	if d.state.Reason != "" {
		t.Errorf("reason %q", d.state.Reason)
	}
}

// TestResumeConcurrent notes pieces of one file from several workers: the
// times noted last must be those of the disk, or the file seems foreign.
func TestResumeConcurrent(t *testing.T) {
	for range 20 {
		d := newDownload(t)
		done := make(chan bool)
		for i := range 8 {
			go func() {
				defer func() { done <- true }()
				d.get(i)
			}()
		}
		for range 8 {
			<-done
		}
		d.killAndStart()
		d.wants("01234567", "")
	}
}

// TestResumeForeignChange changes files behind our back.
func TestResumeForeignChange(t *testing.T) {
	cases := []struct {
		name              string
		inFlight          bool // piece 1, of file a, is in flight
		change            func(d *download)
		verified, recheck string
	}{
		{"newer", false, func(d *download) { d.touch("a", 1) }, "34567", "012"},
		{"older", false, func(d *download) { d.touch("a", -1) }, "34567", "012"},
		{"newer, in flight", true, func(d *download) { d.touch("a", 1) }, "0234567", "1"},
		{"older, in flight", true, func(d *download) { d.touch("a", -time.Hour) }, "34567", "012"},
		{"much newer, in flight", true, func(d *download) { d.touch("a", 2*inFlightWindow) }, "34567", "012"},
		{"another file, in flight", true, func(d *download) { d.touch("c", 1) }, "023", "14567"},
		{"removed", false, func(d *download) { os.Remove(filepath.Join(d.dir, "a")) }, "34567", ""},
		{"cut", false, func(d *download) { os.Truncate(filepath.Join(d.dir, "a"), 1500) }, "34567", "0"},
		{"grown", false, func(d *download) { os.Truncate(filepath.Join(d.dir, "a"), 2501) }, "34567", "012"},
		{"grown, in flight", true, func(d *download) { os.Truncate(filepath.Join(d.dir, "a"), 2501) }, "34567", "012"},
		{"replaced by a folder", false, func(d *download) {
			os.Remove(filepath.Join(d.dir, "b"))
			os.Mkdir(filepath.Join(d.dir, "b"), 0o777)
		}, "014567", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := newDownload(t)
			d.get(0, 1, 2, 3, 4, 5, 6, 7)
			if c.inFlight {
				d.must(d.resume.Begin(1))
				d.write(1)
			}
			d.kill()
			c.change(d)
			d.start()
			d.wants(c.verified, c.recheck)
			if (d.state.Reason != "") != (c.recheck != "1") {
				t.Errorf("reason is %q", d.state.Reason)
			}
		})
	}
}

// TestResumeRestart is after the system was started anew: only what was synced
// is trusted.
func TestResumeRestart(t *testing.T) {
	d := newDownload(t)
	d.get(0, 1)
	d.must(d.resume.Sync())
	d.get(4)
	d.newBoot()
	d.wants("01", "4")
	d.must(d.resume.Done(4))
	d.newBoot()
	d.wants("01", "4") // found good by reading, which may have been from memory
	d.must(d.resume.Done(4))
	d.must(d.resume.Sync())
	d.must(d.resume.Begin(1))
	d.newBoot()
	d.wants("04", "1") // it was synced, but begun anew
	d.must(d.resume.Absent(1))
	d.newBoot()
	d.wants("04", "")
	d.kill()
	d.touch("c", 1)
	d.start()
	d.wants("0", "4")
}

// TestResumeSyncCoversEarlierRun: what a killed process wrote but did not sync
// is synced by the next one, before it is called durable.
func TestResumeSyncCoversEarlierRun(t *testing.T) {
	d := newDownload(t)
	d.get(0, 4)
	d.killAndStart()
	if !d.files.dirty[0] || !d.files.dirty[3] || len(d.files.dirty) != 2 {
		t.Errorf("files to be synced: %v, want 0 and 3", d.files.dirty)
	}
	d.must(d.resume.Sync())
	d.killAndStart()
	if len(d.files.dirty) != 0 {
		t.Errorf("files to be synced after a sync: %v", d.files.dirty)
	}
}

// TestResumeWithoutFile: data that is there already is checked, unless it is
// too short.
func TestResumeWithoutFile(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"none":   os.Remove,
		"empty":  func(path string) error { return os.Truncate(path, 0) },
		"zeros":  func(path string) error { return os.WriteFile(path, make([]byte, 500), 0o666) },
		"text":   func(path string) error { return os.WriteFile(path, []byte("d4:spami1ee"), 0o666) },
		"folder": func(path string) error { os.Remove(path); return os.Mkdir(path, 0o777) },
		"large":  func(path string) error { return os.Truncate(path, maxResumeLen+1) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDownload(t)
			d.get(0, 1, 3)
			d.kill()
			d.must(spoil(d.path()))
			if name == "folder" {
				if _, _, err := OpenResume(d.path(), testHash, d.files); err == nil {
					t.Error("a folder was replaced")
				}
				return
			}
			d.start()
			d.wants("", "013")
			if d.state.Reason == "" {
				t.Error("no reason is given")
			}
		})
	}
}

// TestResumeForeign: another torrent's file, or one of another shape.
func TestResumeForeign(t *testing.T) {
	d := newDownload(t)
	d.get(0)
	b, err := os.ReadFile(d.path())
	d.must(err)
	if _, _, err := parseResume(b, metainfo.InfoHash{9}, d.layout.geo, 4); err != errResumeForeign {
		t.Errorf("another info-hash: %v", err)
	}
	geo, _ := metainfo.NewGeometry(8001, 1000)
	if _, _, err := parseResume(b, testHash, geo, 4); err != errResumeDamaged {
		t.Errorf("another length: %v", err)
	}
	if _, _, err := parseResume(b, testHash, d.layout.geo, 5); err != errResumeDamaged {
		t.Errorf("another number of files: %v", err)
	}
}

// journalFixture is a resume file with all kinds of records, and where each of
// them ends.
func journalFixture(t testing.TB) (b []byte, ends []int, states []*journalState) {
	layout := testLayout(t)
	st := newJournalState(8, 4)
	st.boot = "this"
	b, err := appendCheckpoint(nil, testHash, layout.geo, st)
	if err != nil {
		t.Fatal(err)
	}
	parse := func() {
		st, n, err := parseResume(b, testHash, layout.geo, 4)
		if err != nil || n != len(b) {
			t.Fatalf("%d of %d bytes are good: %v", n, len(b), err)
		}
		ends, states = append(ends, n), append(states, st)
	}
	record := func(kind byte, payload ...byte) {
		b = appendRecord(b, kind, func(b []byte) []byte { return append(b, payload...) })
		parse()
	}
	parse()
	stat := appendStat([]byte{0, 0, 0, 2}, FileStat{Size: 5, ModTimeNs: 6})
	record(recordBegin, 0, 0, 0, 1)
	record(recordDone, append([]byte{0, 0, 0, 1}, stat...)...)
	record(recordBegin, 0, 0, 0, 7)
	record(recordSync, 0b0100_0001)
	record(recordAbsent, append([]byte{0, 0, 0, 7}, stat...)...)
	record(recordTotals, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0)
	return b, ends, states
}

func sameState(a, b *journalState) bool {
	return a.boot == b.boot && a.uploaded == b.uploaded && a.downloaded == b.downloaded && slices.Equal(a.stats, b.stats) &&
		bytes.Equal(a.verified.Bytes(), b.verified.Bytes()) && bytes.Equal(a.durable.Bytes(), b.durable.Bytes()) &&
		bytes.Equal(a.inFlight.Bytes(), b.inFlight.Bytes())
}

// TestJournalTruncated cuts the file at every byte: the state is that of the
// last record that is whole.
func TestJournalTruncated(t *testing.T) {
	b, ends, states := journalFixture(t)
	geo := testLayout(t).geo
	for n := range len(b) {
		st, good, err := parseResume(b[:n], testHash, geo, 4)
		if n < ends[0] {
			if err != errResumeDamaged {
				t.Fatalf("cut at %d: %v, want damaged", n, err)
			}
			continue
		}
		i, whole := slices.BinarySearch(ends, n)
		if !whole {
			i--
		}
		if err != nil || good != ends[i] || !sameState(st, states[i]) {
			t.Fatalf("cut at %d: %d good, %v", n, good, err)
		}
	}
	last := states[len(states)-1]
	if setString(last.verified) != "1" || setString(last.durable) != "1" || last.inFlight.Count() != 0 ||
		last.uploaded != 1 || last.downloaded != 256 || last.stats[2] != (FileStat{5, 6}) {
		t.Errorf("the whole file reads as %+v", last)
	}
}

// TestJournalFlipped flips every bit: the state is never one that was not
// written before the damage.
func TestJournalFlipped(t *testing.T) {
	b, ends, states := journalFixture(t)
	geo := testLayout(t).geo
	for bit := range len(b) * 8 {
		bad := bytes.Clone(b)
		bad[bit/8] ^= 1 << (bit % 8)
		st, good, err := parseResume(bad, testHash, geo, 4)
		if bit/8 < ends[0] {
			if err == nil {
				t.Fatalf("bit %d of the checkpoint flipped, and it is believed", bit)
			}
			continue
		}
		i := 0
		for ends[i+1] <= bit/8 {
			i++
		}
		if err != nil || good != ends[i] || !sameState(st, states[i]) {
			t.Fatalf("bit %d flipped: %d bytes good, want %d; %v", bit, good, ends[i], err)
		}
	}
}

// TestCheckpointContradicts: a checkpoint that no run could have written.
func TestCheckpointContradicts(t *testing.T) {
	geo := testLayout(t).geo
	for name, set := range map[string]func(st *journalState) *bitfield.Set{
		"durable, not verified": func(st *journalState) *bitfield.Set { return st.durable },
		"verified, in flight":   func(st *journalState) *bitfield.Set { st.verified.Add(1); return st.inFlight },
	} {
		st := newJournalState(8, 4)
		set(st).Add(1)
		b, err := appendCheckpoint(nil, testHash, geo, st)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := parseResume(b, testHash, geo, 4); err != errResumeDamaged {
			t.Errorf("%s: %v, want damaged", name, err)
		}
	}
}

// TestResumeFolds lets the journal grow until it is folded into a checkpoint.
func TestResumeFolds(t *testing.T) {
	d := newDownload(t)
	d.get(0, 7)
	var most int64
	for i := 0; i < 2*maxJournalLen/13; i++ {
		d.must(d.resume.Begin(3))
		most = max(most, d.resume.size)
	}
	if most > maxJournalLen+1000 {
		t.Errorf("the file grew to %d bytes", most)
	}
	d.killAndStart()
	d.wants("07", "")
}

// TestResumeKeepsOldFile fails the making of a new file: the old one stays and
// is used on.
func TestResumeKeepsOldFile(t *testing.T) {
	d := newDownload(t)
	d.get(0)
	d.must(os.MkdirAll(filepath.Join(d.path()+".new", "in the way"), 0o777))
	if err := d.resume.Checkpoint(); err == nil {
		t.Fatal("no error")
	}
	d.get(4)
	d.kill()
	d.must(os.RemoveAll(d.path() + ".new"))
	d.start()
	d.wants("04", "")
}

// TestResumePlantedLink plants a link where the new file is written.
func TestResumePlantedLink(t *testing.T) {
	d := newDownload(t)
	victim := filepath.Join(t.TempDir(), "victim")
	d.must(os.WriteFile(victim, []byte("mine"), 0o666))
	d.must(os.Symlink(victim, d.path()+".new"))
	d.must(d.resume.Checkpoint())
	if got, _ := os.ReadFile(victim); string(got) != "mine" {
		t.Errorf("the link was followed: %q", got)
	}
}

// TestResumeAppendFails: a record that could not be written leaves nothing
// behind that would hide the next, and what was done is in the next checkpoint,
// which is written as soon as the disk takes it.
func TestResumeAppendFails(t *testing.T) {
	d := newDownload(t)
	d.get(0)
	d.must(d.resume.Begin(4))
	d.write(4)
	good := d.resume.file
	readOnly, err := os.Open(d.path())
	d.must(err)
	d.resume.file = readOnly
	inTheWay := filepath.Join(d.path()+".new", "folder") // of a new file
	d.must(os.MkdirAll(inTheWay, 0o777))
	if err := d.resume.Begin(5); err == nil {
		t.Error("Begin that was not noted succeeds")
	}
	if err := d.resume.Done(4); err == nil {
		t.Error("Done that was not noted succeeds")
	}
	good.Close()
	d.must(os.Remove(inTheWay))
	d.must(d.resume.Begin(5))
	d.killAndStart()
	d.wants("04", "")
	d.resume.file.Close()
	if err := d.resume.Begin(6); err == nil {
		t.Error("Begin that was not noted succeeds")
	}
	d.get(6)
	d.killAndStart()
	d.wants("046", "")
}

func FuzzParseResume(f *testing.F) {
	b, ends, _ := journalFixture(f)
	geo := testLayout(f).geo
	for _, end := range ends {
		f.Add(b[:end])
	}
	for i, end := range ends { // without their checksums, as the target takes them
		if i == 0 {
			f.Add(b[len(resumeMagic)+5 : end-4])
			continue
		}
		kind, payload, _, _ := parseRecord(b[ends[i-1]:])
		f.Add(append([]byte{kind}, payload...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// What comes behind the checksums is what must be safe, and the fuzzer
		// cannot guess those: it gives the payloads.
		parseCheckpoint(b, testHash, geo, 4)
		st, n, err := parseResume(b, testHash, geo, 4)
		if err != nil {
			st = newJournalState(8, 4)
		} else if n > len(b) {
			t.Fatalf("%d of %d bytes are good", n, len(b))
		}
		if len(b) > 0 {
			st.apply(b[0], b[1:])
		}
		for i := range 8 {
			if st.durable.Has(i) && !st.verified.Has(i) {
				t.Fatalf("piece %d is durable and not verified", i)
			}
			if st.inFlight.Has(i) && st.verified.Has(i) {
				t.Fatalf("piece %d is verified and in flight", i)
			}
		}
		again, err := appendCheckpoint(nil, testHash, geo, st)
		if err != nil {
			t.Fatal(err)
		}
		if back, _, err := parseResume(again, testHash, geo, 4); err != nil || !sameState(back, st) {
			t.Fatalf("the state does not survive a round trip: %v", err)
		}
	})
}
