package announcelog

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// entry is the nth of the tests.
func entry(n int) *Entry {
	return &Entry{At: time.Duration(n) * time.Minute, Announce: ledger.Announce{
		User: ledger.UserID(n%3 + 1), Torrent: 1, PeerID: metainfo.PeerID{byte(n % 3)}, Uploaded: int64(n) * 1000, Downloaded: int64(n), Left: -1,
		Event: tracker.Event(n % 3), Rate: ledger.Rate{UpPercent: 150, DownPercent: 50},
	}}
}

func newWriter(t *testing.T, cfg Config) *Writer {
	t.Helper()
	w, err := NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func appendEntries(t *testing.T, w *Writer, from, to int) {
	t.Helper()
	var b []byte
	for n := from; n < to; n++ {
		b = AppendEntry(b, entry(n))
	}
	if err := w.Append(b); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) (entries []*Entry, numDamaged int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	numDamaged, err = Read(f, func(e *Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, numDamaged
}

func wantEntries(t *testing.T, path string, numDamaged int, numbers ...int) {
	t.Helper()
	var want []*Entry
	for _, n := range numbers {
		want = append(want, entry(n))
	}
	got, damaged := readFile(t, path)
	if damaged != numDamaged || !reflect.DeepEqual(got, want) {
		t.Errorf("%d entries, %d damaged; want %d and %d", len(got), damaged, len(want), numDamaged)
	}
}

// A log may be cut off anywhere; the next writer goes on behind what is whole.
func TestTornEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for cut := range int64(2*EntryLen + len(magic) + 1) {
		os.Remove(path)
		w := newWriter(t, Config{Path: path})
		appendEntries(t, w, 0, 2)
		w.Close()
		if err := os.Truncate(path, cut); err != nil {
			t.Fatal(err)
		}
		w = newWriter(t, Config{Path: path})
		if _, numDamaged := readFile(t, path); numDamaged != 0 {
			t.Errorf("cut at %d: the torn end is still there", cut)
		}
		appendEntries(t, w, 2, 3)
		w.Close()
		switch {
		case cut < int64(len(magic)+EntryLen):
			wantEntries(t, path, 0, 2)
		case cut < int64(len(magic)+2*EntryLen):
			wantEntries(t, path, 0, 0, 2)
		default:
			wantEntries(t, path, 0, 0, 1, 2)
		}
	}
}

// Damage costs one entry.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, Config{Path: path})
	appendEntries(t, w, 0, 3)
	whole, _ := os.ReadFile(path)
	for at := len(magic) + EntryLen; at < len(magic)+2*EntryLen; at++ {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		os.WriteFile(path, b, 0o600)
		wantEntries(t, path, 1, 0, 2)
	}
	strange := entry(1)
	strange.Event = 9
	os.WriteFile(path, AppendEntry(bytes.Clone(whole), strange), 0o600)
	wantEntries(t, path, 1, 0, 1, 2)
	os.WriteFile(path, whole[:len(whole)-1], 0o600)
	wantEntries(t, path, 1, 0, 1)
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, Config{Path: path, MaxLen: int64(len(magic) + 3*EntryLen)})
	for n := range 8 {
		appendEntries(t, w, n, n+1)
	}
	wantEntries(t, path+oldSuffix, 0, 3, 4, 5)
	wantEntries(t, path, 0, 6, 7)
	if stat, _ := os.Stat(path); stat.Mode().Perm() != 0o600 {
		t.Error("others can read it: ", stat.Mode())
	}
}

func TestOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	os.WriteFile(path, []byte("a letter to grandmother"), 0o600)
	if _, err := NewWriter(Config{Path: path}); !errors.Is(err, ErrNotALog) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); len(b) != 23 {
		t.Error("it was changed")
	}
	if _, err := NewWriter(Config{Path: path, MaxLen: 5}); err == nil {
		t.Error("no entry fits")
	}
	for _, s := range []string{"", "shoal", strings.Repeat("x", 100)} {
		if _, err := Read(strings.NewReader(s), nil); !errors.Is(err, ErrNotALog) {
			t.Errorf("%q: %v", s, err)
		}
	}
	stop := errors.New("enough")
	if _, err := Read(bytes.NewReader(AppendEntry([]byte(magic), entry(1))), func(*Entry) error { return stop }); err != stop {
		t.Error(err)
	}
}

// A ledger that is given the log comes to the sums of the one that wrote it.
func TestReplay(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	b := []byte(magic)
	original := newLedger(t)
	now := time.Duration(0)
	for range 1000 {
		now += time.Duration(rng.IntN(300)) * time.Second
		e := entry(rng.IntN(1000))
		e.At = now
		b = AppendEntry(b, e)
		original.Announce(e.At, &e.Announce)
	}
	replayed := newLedger(t)
	if _, err := Read(bytes.NewReader(b), func(e *Entry) error {
		replayed.Announce(e.At, &e.Announce)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if a, b := original.Drain(), replayed.Drain(); !reflect.DeepEqual(a, b) || len(a.Deltas) != 3 {
		t.Errorf("%+v, want %+v", b.Deltas, a.Deltas)
	}
}

func newLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// FuzzRead: whatever the file, no panic, and what is read was written so.
func FuzzRead(f *testing.F) {
	one := AppendEntry([]byte(magic), entry(1))
	f.Add(one)
	f.Add(AppendEntry(one, entry(2))[:len(one)+EntryLen-3])
	f.Add(append(bytes.Clone(one), make([]byte, EntryLen)...))
	f.Add([]byte("shoal"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again := []byte(magic)
		numDamaged, err := Read(bytes.NewReader(b), func(e *Entry) error {
			again = AppendEntry(again, e)
			return nil
		})
		if err != nil {
			return
		}
		if len(again)+(numDamaged-1)*EntryLen >= len(b) && numDamaged > 0 {
			t.Fatalf("%d damaged, %d bytes read of %d", numDamaged, len(again), len(b))
		}
		if numDamaged == 0 && !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %x", b, again)
		}
	})
}
