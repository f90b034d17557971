package piecestore

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// TestDrop cuts a list of buffers at every byte, as a short write does.
func TestDrop(t *testing.T) {
	bufs := [][]byte{[]byte("ab"), nil, []byte("c"), []byte("def"), {}}
	for n := range 7 {
		rest := cursor{bufs: bufs}
		for _, step := range []int{n / 2, n - n/2} {
			rest.drop(step)
		}
		if got := string(bytes.Join(rest.head(room(5)), nil)); got != "abcdef"[n:] {
			t.Errorf("after %d bytes %q is left", n, got)
		}
	}
	if got := string(bytes.Join(bufs, nil)); got != "abcdef" {
		t.Errorf("the caller's list is %q now", got)
	}
}

// TestHead: what one call writes is bounded in bytes and in buffers.
func TestHead(t *testing.T) {
	long := cursor{bufs: [][]byte{make([]byte, 10), make([]byte, 3*maxWriteLen)}}
	long.drop(4)
	if got := long.head(room(5)); len(got) != 2 || len(got[0]) != 6 || len(got[1]) != maxWriteLen-6 {
		t.Errorf("%d buffers", len(got))
	}
	many := cursor{bufs: slices.Repeat([][]byte{{1}}, 9)}
	if got := many.head(room(4)); len(got) != 4 {
		t.Errorf("%d buffers, want 4", len(got))
	}
}

// room is an empty list with room for n buffers.
func room(n int) [][]byte { return make([][]byte, 0, n) }

// TestFullDisk fills a disk of 1 MiB, in a mount namespace of its own: the
// error says so, what was verified stays known, and when there is room again
// everything goes on.
func TestFullDisk(t *testing.T) {
	const marker = "SHOAL_TEST_FULL_DISK"
	if dir := os.Getenv(marker); dir != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("cannot mount: ", err)
		}
		testFullDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), marker+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.ProcessState == nil:
		t.Skip("no namespaces here: ", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "cannot mount"):
		t.Skipf("%s", out)
	}
}

func testFullDisk(t *testing.T, dir string) {
	d := &download{t: t, dir: dir, layout: testLayout(t)}
	d.start()
	d.get(0, 4)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o666); !IsNoSpace(err) {
		t.Fatalf("the disk is not full: %v", err)
	}
	err := d.files.WriteAt([][]byte{make([]byte, 500)}, 2500) // of a file that has no page yet
	if !IsNoSpace(err) {
		t.Errorf("write: %v, want a full disk", err)
	}
	before, err := os.ReadFile(d.path())
	d.must(err)
	if err := d.resume.Checkpoint(); !IsNoSpace(err) {
		t.Errorf("checkpoint: %v, want a full disk", err)
	}
	if after, err := os.ReadFile(d.path()); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the old resume file did not stay: %v", err)
	}
	d.must(os.Remove(ballast))
	d.get(2)
	d.killAndStart()
	d.wants("024", "")
}

// TestResumeFileIsAPipe has a named pipe where the resume file belongs: opening
// it must not wait for somebody to write.
func TestResumeFileIsAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resume")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Skip(err)
	}
	files, err := OpenFiles(t.TempDir(), killLayout(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	resume, state, err := OpenResume(path, metainfo.InfoHash{}, files)
	if err != nil || state.Verified.Count() > 0 {
		t.Fatalf("%d pieces are trusted, %v", state.Verified.Count(), err)
	}
	if err := resume.Close(); err != nil {
		t.Error(err)
	}
}
