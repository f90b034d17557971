package dropdir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// torrentFile is a torrent of one byte, with a name.
func torrentFile(name string) string {
	return fmt.Sprintf("d4:infod6:lengthi1e4:name%d:%s12:piece lengthi16384e6:pieces20:%see", len(name), name, strings.Repeat("a", 20))
}

// drop is a folder with its clock.
type drop struct {
	*Folder
	t   *testing.T
	dir string
	now time.Time
}

func newDrop(t *testing.T) *drop {
	dir := t.TempDir()
	return &drop{New(dir), t, dir, time.Now()}
}

// write makes a file whose time is that of the folder's clock.
func (d *drop) write(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Chtimes(path, d.now, d.now); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drop) remove(name string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// want scans five seconds later.
func (d *drop) want(what string, added, removed, numBroken, total int) Changes {
	d.t.Helper()
	d.now = d.now.Add(5 * time.Second)
	c, err := d.Scan(d.now)
	if err != nil || len(c.Added) != added || len(c.Removed) != removed || len(c.Broken) != numBroken || len(d.Torrents()) != total {
		d.t.Fatalf("%s: %+v, %d torrents, %v", what, c, len(d.Torrents()), err)
	}
	return c
}

func TestTorrentsComeAndGo(t *testing.T) {
	d := newDrop(t)
	d.want("an empty folder", 0, 0, 0, 0)
	d.write("a.torrent", torrentFile("a"))
	d.write("notes.txt", torrentFile("b"))
	if err := os.Mkdir(filepath.Join(d.dir, "folder.torrent"), 0o777); err != nil {
		t.Fatal(err)
	}
	c := d.want("one more", 1, 0, 0, 1)
	m, err := metainfo.Load(c.Added[0].Path)
	if err != nil || m.InfoHash != c.Added[0].InfoHash {
		t.Errorf("%+v, %v", c.Added, err)
	}
	d.want("nothing new", 0, 0, 0, 1)
	d.write("a.torrent", torrentFile("c"))
	d.want("another torrent under the same name", 1, 1, 0, 1)
	d.write("copy.torrent", torrentFile("c"))
	d.want("a copy", 1, 0, 0, 1)
	d.remove("copy.torrent")
	d.want("the copy has gone", 0, 1, 0, 1)
	d.remove("a.torrent")
	d.want("all have gone", 0, 1, 0, 0)
}

// A broken file is named once, not while it may be on its way, and taken when
// it is whole.
func TestBrokenFilesAreNamedOnce(t *testing.T) {
	d := newDrop(t)
	whole := torrentFile("a")
	d.now = d.now.Add(5 * time.Second) // the time of the scan
	d.write("a.torrent", whole[:20])
	d.now = d.now.Add(-5 * time.Second)
	d.want("on its way", 0, 0, 0, 0)
	c := d.want("still not whole", 0, 0, 1, 0)
	if !strings.Contains(c.Broken[0].Error(), "a.torrent") {
		t.Errorf("%v does not name the file", c.Broken)
	}
	d.want("known to be broken", 0, 0, 0, 0)
	d.write("a.torrent", whole)
	d.want("whole", 1, 0, 0, 1)
	d.write("a.torrent", "")
	d.want("emptied", 0, 1, 1, 0)
}

func TestFoldersThatAreNotThere(t *testing.T) {
	d := newDrop(t)
	d.write("a.torrent", torrentFile("a"))
	d.want("one", 1, 0, 0, 1)
	away := d.dir + ".away"
	if err := os.Rename(d.dir, away); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Scan(d.now); err == nil || len(d.Torrents()) != 1 {
		t.Errorf("%v; %d torrents", err, len(d.Torrents()))
	}
	if err := os.Rename(away, d.dir); err != nil {
		t.Fatal(err)
	}
	d.want("it is back", 0, 0, 0, 1)
}
