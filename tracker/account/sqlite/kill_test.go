package sqlite

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

const (
	numKillUsers = 4
	killEpoch    = 20_000 * 24 * time.Hour
)

// A process that counts clients' bytes is killed again and again: at any
// moment, just before a batch is committed, and between the commit and its
// acknowledgement. Each time the users' sums are exactly the counters up to
// which their clients' bytes were counted, and at least what the process was
// told is stored.
func TestKilledProcess(t *testing.T) {
	const marker, moment = "SHOAL_TEST_KILLED", "SHOAL_TEST_MOMENT"
	if path := os.Getenv(marker); path != "" {
		countUntilKilled(t, path, os.Getenv(moment))
		return
	}
	path := filepath.Join(t.TempDir(), "tracker.db")
	st := createAt(t, path)
	for n := range byte(numKillUsers) {
		if _, err := st.CreateUser(t.Context(), account.User{Name: fmt.Sprintf("u%d", n)}, account.KeyHash{n}); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	var known int64
	for run := range 15 {
		when := []string{"any", "before", "after"}[run%3]
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), marker+"="+path, moment+"="+when)
		known = max(known, killLater(t, cmd, when, rng.IntN(60)))
		if got := checkSums(t, path, run); got < known {
			t.Fatalf("run %d, killed %s: %d bytes are stored, %d were acknowledged", run, when, got, known)
		} else {
			known = got
		}
	}
	if known == 0 {
		t.Error("nothing was ever stored")
	}
}

// killLater starts the process and kills it after so many of its lines, unless
// it kills itself. It returns the sum that the last line tells.
func killLater(t *testing.T, cmd *exec.Cmd, when string, numLines int) (acknowledged int64) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; (when != "any" || n < numLines) && lines.Scan(); n++ {
		sum, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(lines.Text())
		}
		acknowledged = sum
	}
	if err := cmd.Process.Kill(); err != nil && when == "any" {
		t.Fatal(err)
	}
	cmd.Wait()
	return acknowledged
}

func checkSums(t *testing.T, path string, run int) (sum int64) {
	t.Helper()
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	counters := map[ledger.UserID]int64{}
	err = st.Sessions(t.Context(), 0, func(s ledger.Session, _ time.Duration) error {
		counters[s.User] += s.Uploaded
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := st.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range tables.Users {
		if u.Totals.Uploaded != counters[u.ID] {
			t.Fatalf("run %d: user %d has %d bytes, his clients' counters are at %d", run, u.ID, u.Totals.Uploaded, counters[u.ID])
		}
		sum += u.Totals.Uploaded
	}
	return sum
}

// countUntilKilled is the process: clients whose counters rise, and a line with
// the sum of them for each batch that was acknowledged.
func countUntilKilled(t *testing.T, path, when string) {
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.New(ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := killEpoch
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	clients := killClients(t, st, l, now)
	rounds := 3 + rng.IntN(20)
	die := func() {
		if rounds--; rounds == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	switch when {
	case "before":
		st.beforeCommit = die
	case "after":
		st.afterCommit = die
	}
	run := account.NewRunID()
	for t.Context().Err() == nil {
		var sum int64
		for i := range clients {
			clients[i].Uploaded += rng.Int64N(1000)
			l.Announce(now, &clients[i])
			sum += clients[i].Uploaded
		}
		if err := st.Flush(t.Context(), run, l.Drain()); err != nil {
			t.Fatal(err)
		}
		l.Ack()
		fmt.Println(sum)
	}
}

// killClients are those of before with more on their counters than is stored,
// or new ones.
func killClients(t *testing.T, st *Store, l *ledger.Ledger, now time.Duration) []ledger.Announce {
	clients := make([]ledger.Announce, 2*numKillUsers)
	for i := range clients {
		clients[i] = ledger.Announce{User: ledger.UserID(i%numKillUsers + 1), Torrent: 1, PeerID: metainfo.PeerID{byte(i)}, Left: 5, Rate: ledger.NormalRate}
	}
	err := st.Sessions(t.Context(), 0, func(s ledger.Session, seededUntil time.Duration) error {
		l.Restore(now, s, seededUntil)
		clients[s.PeerID[0]].Uploaded = s.Uploaded
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Stats().Sessions == 0 {
		for i := range clients {
			l.Announce(now, &clients[i])
		}
	}
	return clients
}
