package server

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestRestartKeepsTheSwarms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swarms")
	cfg := Config{StateFile: path}
	s := newServer(t, cfg)
	get(t, s, "10.0.0.1:1", announceOf(idA, 6881, ""))
	get(t, s, "[2001:db8::1]:1", announceOf(idB, 6882, "&event=completed&left=0"))
	other := strings.Replace(announceOf(idB, 6883, ""), hashA, strings.Repeat("b", 20), 1)
	get(t, s, "10.0.0.3:1", other)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx, ln); err != nil { // it ends at once, and saves
		t.Fatal(err)
	}
	again := newServer(t, cfg)
	before, after := s.Stats(), again.Stats()
	if after.Torrents != 2 || after.Peers4 != 2 || after.Peers6 != 1 || after.Seeds != before.Seeds {
		t.Errorf("%+v became %+v", before, after)
	}
	if stats, ok := again.store.scrape(metainfo.InfoHash([]byte(hashA))); !ok || stats.Incomplete+stats.Complete != 2 {
		t.Errorf("%+v", stats)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}

// A state file that is old has its peers fall silent the sooner.
func TestOldStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swarms")
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{StateFile: path})
		get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
		time.Sleep(50 * time.Minute)
		get(t, s, "10.0.0.2:1", announceOf(idB, 2, ""))
		if err := s.saveState(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		if st := newServer(t, Config{StateFile: path}).Stats(); st.Peers4 != 1 {
			t.Errorf("after 20 minutes: %+v", st)
		}
		time.Sleep(time.Hour)
		if st := newServer(t, Config{StateFile: path}).Stats(); st.Peers4 != 0 {
			t.Errorf("after 80 minutes: %+v", st)
		}
	})
}

func TestStateIsSavedWhileItRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swarms")
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{StateFile: path})
		get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		served := make(chan error)
		go func() { ended <- s.tendUntil(ctx, served) }()
		time.Sleep(saveEvery)
		synctest.Wait()
		if st := newServer(t, Config{StateFile: path}).Stats(); st.Peers4 != 1 {
			t.Errorf("%+v", st)
		}
		cancel()
		<-ended
	})
}

// A damaged file is set aside and named, and the tracker begins empty.
func TestDamagedStateFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "swarms")
	s := newServer(t, Config{StateFile: path})
	get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
	if err := s.saveState(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	turned := bytes.Clone(good)
	turned[len(stateMagic)+30] ^= 1
	for name, file := range map[string][]byte{
		"empty": {}, "cut off": good[:len(good)-1], "a bit turned": turned,
		"another version": bytes.Replace(good, []byte("-1\n"), []byte("-2\n"), 1), "text": []byte(strings.Repeat("text ", 50)),
	} {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		again := newServer(t, Config{StateFile: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		aside, err := os.ReadFile(path + ".damaged")
		if again.Stats().Torrents != 0 || err != nil || !bytes.Equal(aside, file) || !strings.Contains(log.String(), "damaged") {
			t.Errorf("%s: %+v, %v, log %q", name, again.Stats(), err, log.String())
		}
	}
	if _, err := New(Config{StateFile: folder}); err == nil {
		t.Error("a folder was read as a file")
	}
	gone := filepath.Join(folder, "gone")
	if _, err := New(Config{StateFile: filepath.Join(gone, "swarms")}); err == nil || !strings.Contains(err.Error(), "choose a folder") {
		t.Errorf("that nothing can be saved is found out too late: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*.tmp")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	device := filepath.Join(folder, "null")
	if err := os.Symlink(os.DevNull, device); err == nil {
		_, err := New(Config{StateFile: device})
		if target, _ := os.Readlink(device); err == nil || target != os.DevNull {
			t.Errorf("a device was read as a file (%v), and is %q now", err, target)
		}
	}
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	lost := newServer(t, Config{StateFile: filepath.Join(gone, "swarms")})
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if err := lost.saveState(); err == nil {
		t.Error("it was saved in a folder that is not there")
	}
}
