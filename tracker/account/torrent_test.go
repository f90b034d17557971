package account

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// makeTorrent makes a torrent of a small file.
func makeTorrent(t testing.TB, opt metainfo.CreateOptions) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "name")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	_, b, err := metainfo.Create(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func makeOwn(t *testing.T, file []byte, source string) *Own {
	t.Helper()
	own, err := MakeOwn(file, source)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func TestLongName(t *testing.T) {
	for _, test := range []struct {
		len int
		ok  bool
	}{{maxNameLen, true}, {maxNameLen + 1, false}} {
		file := makeTorrent(t, metainfo.CreateOptions{Name: strings.Repeat("n", test.len)})
		_, err := MakeOwn(file, "")
		if (err == nil) != test.ok {
			t.Errorf("a name of %d bytes: %v", test.len, err)
		}
	}
}

func TestMakeOwn(t *testing.T) {
	date := time.Unix(1_700_000_000, 0)
	public := makeTorrent(t, metainfo.CreateOptions{
		Announce: [][]string{{"http://a.example/announce", "http://b.example/announce"}, {"udp://c.example:1"}},
		Nodes:    []string{"router.example:6881"}, WebSeeds: []string{"http://files.example/"}, Comment: "hello", Date: date,
	})
	own := makeOwn(t, public, "SHOAL")
	before, err := metainfo.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	if !own.Info.Private || len(own.Announce)+len(own.Nodes) > 0 || own.InfoHash == own.From || own.From != before.InfoHash {
		t.Errorf("%+v", own)
	}
	if own.Comment != "hello" || !own.CreationDate.Equal(date) || !reflect.DeepEqual(own.WebSeeds, before.WebSeeds) || own.Info.PieceHash(0) != before.Info.PieceHash(0) {
		t.Errorf("more was changed: %+v", own)
	}
	if bytes.Contains(own.File, []byte("a.example")) || !bytes.Contains(own.File, []byte("6:source5:SHOAL")) {
		t.Errorf("%q", own.File)
	}
	changes := strings.Join(own.Changes, " ")
	for _, want := range []string{"3 announce URLs", "1 DHT nodes", "made private", `source was set to "SHOAL"`, own.From.String() + " to " + own.InfoHash.String()} {
		if !strings.Contains(changes, want) {
			t.Errorf("%q is not said: %s", want, changes)
		}
	}
	// It is the torrent that its maker would have made.
	private := makeTorrent(t, metainfo.CreateOptions{Private: true, Source: "SHOAL"})
	if m, err := metainfo.Parse(private); err != nil || m.InfoHash != own.InfoHash {
		t.Error("the info-hash is not that of a private torrent with the source")
	}
	// To do it again changes nothing, and nothing is said.
	again := makeOwn(t, own.File, "SHOAL")
	if again.InfoHash != own.InfoHash || len(again.Changes) > 0 || !bytes.Equal(again.File, own.File) {
		t.Errorf("%+v", again.Changes)
	}
	if kept := makeOwn(t, own.File, ""); kept.InfoHash != own.InfoHash {
		t.Error("no source takes the one that is there out")
	}
	if other := makeOwn(t, own.File, "OTHER"); other.InfoHash == own.InfoHash || bytes.Contains(other.File, []byte("5:SHOAL")) {
		t.Error("the source stays")
	}
}

// Keys that nobody here knows stay. Unsorted ones cannot be changed without
// changing more than was meant.
func TestMakeOwnKeepsUnknownKeys(t *testing.T) {
	pieces := strings.Repeat("p", 20)
	file := "d4:infod6:lengthi5e4:name1:n12:piece lengthi16384e6:pieces20:" + pieces + "9:x_unknownli1eeee"
	own := makeOwn(t, []byte(file), "S")
	want := "d6:lengthi5e4:name1:n12:piece lengthi16384e6:pieces20:" + pieces + "7:privatei1e6:source1:S9:x_unknownli1eee"
	if string(own.InfoBytes) != want {
		t.Errorf("%q, want %q", own.InfoBytes, want)
	}
	unsorted := "d4:infod4:name1:n6:lengthi5e12:piece lengthi16384e6:pieces20:" + pieces + "ee"
	if _, err := MakeOwn([]byte(unsorted), "S"); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", "de"} {
		if _, err := MakeOwn([]byte(bad), "S"); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, err := MakeOwn([]byte(file), "\xff"); err == nil {
		t.Error("a source that is no text")
	}
}

func TestWithKey(t *testing.T) {
	own := makeOwn(t, makeTorrent(t, metainfo.CreateOptions{}), "S")
	base, err := ParseBase("https://tracker.example:6969/sub/")
	if err != nil {
		t.Fatal(err)
	}
	key := NewKey()
	file, err := WithKey(own.File, base, key)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metainfo.Parse(file)
	want := [][]string{{"https://tracker.example:6969/sub/" + key.Reveal() + "/announce"}}
	if err != nil || m.InfoHash != own.InfoHash || !reflect.DeepEqual(m.Announce, want) {
		t.Errorf("%v, %v", m.Announce, err)
	}
	if bytes.Contains(own.File, []byte(key.Reveal())) {
		t.Error("the tracker's own copy has the key")
	}
}

func TestParseBase(t *testing.T) {
	for _, bad := range []string{"", "tracker.example", "udp://a", "http://", "http://a:99999", "http://a:0", "http://a/?x", "http://u:p@a/"} {
		if u, err := ParseBase(bad); err == nil {
			t.Errorf("%q is read as %v", bad, u)
		}
	}
	u, err := ParseBase("http://a")
	if err != nil || AnnounceURL(u, Key{}) != "http://a/00000000000000000000000000000000/announce" {
		t.Error(u, err)
	}
}

func FuzzMakeOwn(f *testing.F) {
	f.Add([]byte("d4:infod6:lengthi5e4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"), "S")
	f.Add(makeTorrent(f, metainfo.CreateOptions{Announce: [][]string{{"http://a.example/"}}}), "")
	f.Fuzz(func(t *testing.T, file []byte, source string) {
		own, err := MakeOwn(file, source)
		if err != nil {
			return
		}
		if !own.Info.Private || len(own.Announce)+len(own.Nodes) > 0 {
			t.Fatalf("not private, or with trackers: %q", own.File)
		}
		again, err := MakeOwn(own.File, source)
		if err != nil || again.InfoHash != own.InfoHash || len(again.Changes) > 0 {
			t.Fatalf("%q is changed again: %v, %v", own.File, again, err)
		}
	})
}
