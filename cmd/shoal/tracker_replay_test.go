package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// replayed returns what "shoal tracker replay --json" prints for anna.
func replayed(t *testing.T, code int, args ...string) (j replayedJSON) {
	t.Helper()
	r := shoal(t, append([]string{"tracker", "replay", "--json"}, args...)...)
	if r.code != code {
		t.Fatalf("replay %v: exit %d, want %d\n%s%s", args, r.code, code, r.stdout, r.stderr)
	}
	if err := json.Unmarshal([]byte(r.stdout), &j); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	return j
}

// The log adds up to what the database has; and a database that is restored from
// an older backup has all of it again when the log's end is brought into it.
func TestReplayAnnounceLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "announces")
	p := startPrivate(t, "--announce-log", log)
	h, announceURL := p.addAnna()
	p.awaitKey(announceURL)
	announce := func(id byte, up, down, left int, event string) {
		t.Helper()
		body := fetchBody(t, fmt.Sprintf("%s?info_hash=%s&peer_id=-SH0100-aaaaaaaaaaa%c&port=1&uploaded=%d&downloaded=%d&left=%d&event=%s",
			announceURL, urlEscaped(h[:]), id, up, down, left, event))
		if !strings.HasPrefix(body, "d8:complete") {
			t.Fatalf("%q", body)
		}
	}
	announce('x', 0, 0, 900, "started")
	announce('y', 5, 5, 0, "started")
	announce('x', 1000, 300, 600, "")
	p.await("anna", "stored", func(u userJSON) bool { return u.Uploaded == 1000 })
	backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	mustSucceed(t, "tracker", "backup", backup, "--db", p.db)
	announce('y', 25, 5, 0, "stopped")
	announce('x', 4000, 900, 0, "completed")
	announce('z', 0, 0, 900, "started")
	announce('z', 7, 70, 830, "")
	p.stop()

	want := replayedJSON{Name: "anna", Uploaded: 4027, Downloaded: 970, Snatches: 1, StoredUploaded: 4027, StoredDownloaded: 970, StoredSnatches: 1}
	withoutTimes := func(j replayedJSON) replayedJSON {
		if j.SeedTime != j.StoredSeedTime {
			t.Errorf("seeded for %d s by the log, %d by the database", j.SeedTime, j.StoredSeedTime)
		}
		j.SeedTime, j.StoredSeedTime = 0, 0
		return j
	}
	if got := withoutTimes(replayed(t, exitDone, "--db", p.db, log)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	mustSucceed(t, "tracker", "restore", backup, "--db", restored)
	if got := replayed(t, exitMismatch, "--db", restored, log); got.StoredUploaded != 1000 || got.Uploaded != 4027 {
		t.Errorf("the backup: %+v", got)
	}
	for range 2 { // the second time there is nothing to bring
		if got := replayed(t, exitDone, "--write", "--db", restored, log); got.StoredUploaded != 4027 || got.StoredDownloaded != 970 {
			t.Errorf("after --write: %+v", got)
		}
	}
	if got := withoutTimes(replayed(t, exitDone, "--db", restored, log)); got != want {
		t.Errorf("after --write: %+v, want %+v", got, want)
	}

	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	os.Rename(log, log+".1") // as if a new part had begun
	os.WriteFile(log, whole[:16], 0o600)
	if r := mustSucceed(t, "tracker", "replay", "--db", p.db, log); !strings.Contains(r.stdout, "anna") || !strings.Contains(r.stdout, "same") {
		t.Errorf("both parts: %s", r.stdout)
	}
	os.WriteFile(log+".1", whole[:len(whole)-3], 0o600)
	r := shoal(t, "tracker", "replay", "--db", p.db, log)
	if r.code != exitMismatch || !strings.Contains(r.stderr, "left out: 1 place, damaged or torn") || !strings.Contains(r.stdout, "DIFFERENT") {
		t.Errorf("torn: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
