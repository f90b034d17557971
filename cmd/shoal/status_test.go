package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestEveryTellsTheStatus has a download print objects while it goes, one when it is
// complete although it goes on seeding, and one at the end.
func TestEveryTellsTheStatus(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(21, mixedFiles))
	seed := start(t, "seed", "--bind", "127.0.0.1", "--no-dht", "--json", "--every", "1h", torrent, data)
	addr := seed.addr(t, "peer")
	r := mustSucceed(t, "get", "--bind", "127.0.0.1", "--no-dht", "--peer", addr, "-o", t.TempDir(),
		"--json", "--every", "1h", "--seed-time", "1ms", torrent)
	var status []string
	for _, line := range strings.Split(strings.TrimSpace(r.stdout), "\n") {
		var object getJSON
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		status = append(status, object.Status)
	}
	if got := strings.Join(status, " "); got != "incomplete complete complete" {
		t.Errorf("objects: %s", got)
	}
	if r := seed.stop(); strings.Count(r.stdout, `"status":"seeding"`) != 2 || strings.Count(r.stdout, `"status":"stopped"`) != 1 {
		t.Errorf("the seed prints\n%s", r.stdout)
	}
}

// TestEveryNeedsJSON also has it silent about a torrent that has not begun.
func TestEveryNeedsJSON(t *testing.T) {
	f := statusFlag{every: time.Second}
	start := time.Unix(1, 0)
	numPrinted := 0
	torrents := []*transfer{{}} // not begun: there is nothing to tell
	for i := range 3 {
		if err := f.tell(start.Add(time.Duration(i)*time.Second), torrents, func(*transfer) error { numPrinted++; return nil }); err != nil || numPrinted > 0 {
			t.Errorf("told %d, %v", numPrinted, err)
		}
	}
	if r := shoal(t, "get", "--every", "1s", "x.torrent"); r.code != exitUsage || !strings.Contains(r.stderr, "--json") {
		t.Errorf("--every without --json: exit %d\n%s", r.code, r.stderr)
	}
}
