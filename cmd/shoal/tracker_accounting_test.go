//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

// How often the tracker is killed, and for how long its database is locked: a
// little in each run of the tests, and as the stage accounts of .ci/run has it.
const (
	killsVariable, defaultKills = "SHOAL_TEST_KILLS", 4
	lockVariable, defaultLock   = "SHOAL_TEST_LOCK", time.Second
)

// longestRun is the time between start and kill, at most. The tracker stores its
// sums every two seconds.
const longestRun = 3500 * time.Millisecond

// countedTracker is a private tracker in a process of its own, which is killed
// and started again.
type countedTracker struct {
	t        *testing.T
	db       string
	address  string // the same at each start
	process  *process
	torrent  account.Torrent
	answered atomic.Int64 // announces
}

func newCountedTracker(t *testing.T, rng *rand.Rand) *countedTracker {
	t.Helper()
	c := &countedTracker{t: t, db: filepath.Join(t.TempDir(), "tracker.db")}
	// A port below those that the system hands out, on an address that no
	// other test has: it is still free when the tracker starts again.
	c.address = fmt.Sprintf("127.63.%d.%d:%d", rng.IntN(256), 1+rng.IntN(254), 10_000+rng.IntN(20_000))
	mustSucceed(t, "tracker", "init", "--db", c.db, "--url", "http://"+c.address)
	c.withStore(func(st *sqlite.Store) error {
		torrent, err := st.AddTorrent(t.Context(), account.Torrent{InfoHash: metainfo.InfoHash{1}, Name: "t"}, []byte("de"))
		c.torrent = torrent
		return err
	})
	return c
}

func (c *countedTracker) withStore(do func(*sqlite.Store) error) {
	c.t.Helper()
	st, err := sqlite.Open(c.t.Context(), c.db)
	if err != nil {
		c.t.Fatal(err)
	}
	defer st.Close()
	if err := do(st); err != nil {
		c.t.Fatal(err)
	}
}

// addUser returns the path of the new user's announce URL.
func (c *countedTracker) addUser(name string) (id ledger.UserID, path string) {
	c.t.Helper()
	c.withStore(func(st *sqlite.Store) error {
		key := account.NewKey()
		user, err := st.CreateUser(c.t.Context(), account.User{Name: name}, key.Hash())
		id, path = user.ID, "/"+key.Reveal()+"/announce"
		return err
	})
	return id, path
}

func (c *countedTracker) start() {
	c.t.Helper()
	c.startWith(nil, "--quiet")
}

func (c *countedTracker) startWith(stdout *os.File, flags ...string) {
	c.t.Helper()
	c.process = startProcess(c.t, stdout, append([]string{"tracker", "run", "--private", "--db", c.db, "--http", c.address}, flags...)...)
	c.await("the tracker does not listen", func() bool {
		conn, err := net.Dial("tcp", c.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// await looks again and again, with pauses that leave the machine to the tracker.
func (c *countedTracker) await(failure string, isSo func() bool) {
	c.t.Helper()
	tooLate, ticker := time.Now().Add(patience), time.NewTicker(10*time.Millisecond)
	defer ticker.Stop()
	for !isSo() {
		if time.Now().After(tooLate) {
			c.process.signal(c.t, syscall.SIGKILL)
			_, stderr := c.process.end(c.t)
			c.t.Fatalf("%s\n%s", failure, stderr)
		}
		<-ticker.C
	}
}

// stop ends it as Ctrl-C does, with all sums stored.
func (c *countedTracker) stop() {
	c.t.Helper()
	c.process.signal(c.t, os.Interrupt)
	if code, stderr := c.process.end(c.t); code != exitInterrupted {
		c.t.Fatalf("exit %d\n%s", code, stderr)
	}
}

// uploaded are the users' sums in the database, as the clients announced them.
func (c *countedTracker) uploaded() map[ledger.UserID]int64 {
	c.t.Helper()
	sums := map[ledger.UserID]int64{}
	c.withStore(func(st *sqlite.Store) error {
		users, err := st.Users(c.t.Context())
		for _, u := range users {
			if u.RawUploaded != u.RawDownloaded || u.Uploaded != u.RawUploaded {
				c.t.Errorf("%s: up %d, down %d, counted %d: clients announced the same of all", u.Name, u.RawUploaded, u.RawDownloaded, u.Uploaded)
			}
			sums[u.ID] = u.RawUploaded
		}
		return err
	})
	return sums
}

// lastFlush is the time up to which all announces are stored.
func (c *countedTracker) lastFlush() time.Time {
	c.t.Helper()
	var at time.Duration
	c.withStore(func(st *sqlite.Store) (err error) {
		at, err = st.LastFlush(c.t.Context())
		return err
	})
	return time.Unix(0, int64(at))
}

// countingClient announces counters that rise from 0, some twice, some in the
// wrong order, some at the same time.
type countingClient struct {
	of     *countedTracker
	user   ledger.UserID
	path   string
	peerID string
	rng    *rand.Rand
	http   *http.Client
	// sent is the highest counter that it has announced, acked what was
	// answered when.
	sent  int64
	mu    sync.Mutex
	acked []acknowledged
}

type acknowledged struct {
	at      time.Time
	counter int64
}

func (c *countedTracker) newClient(user ledger.UserID, path string, seed uint64) *countingClient {
	return &countingClient{
		of: c, user: user, path: path, peerID: fmt.Sprintf("-SH0000-%012d", seed),
		rng:  rand.New(rand.NewPCG(seed, 1)),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: patience},
	}
}

// announce returns an error when the tracker is gone.
func (cl *countingClient) announce(counter int64, event string) error {
	url := fmt.Sprintf("http://%s%s?info_hash=%s&peer_id=%s&port=1&uploaded=%d&downloaded=%d&left=1%s",
		cl.of.address, cl.path, urlEscaped(cl.of.torrent.InfoHash[:]), cl.peerID, counter, counter, event)
	resp, err := cl.http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), "d8:complete") {
		cl.of.t.Errorf("the announce is refused: %q", body)
	}
	cl.mu.Lock()
	cl.acked = append(cl.acked, acknowledged{time.Now(), counter})
	cl.mu.Unlock()
	cl.of.answered.Add(1)
	return nil
}

// some announces once or twice.
func (cl *countingClient) some() error {
	first := cl.sent + cl.rng.Int64N(1<<20)
	second := first
	if cl.rng.IntN(2) == 0 {
		second += cl.rng.Int64N(1 << 20) // which may overtake the first
	}
	cl.sent = second
	if cl.rng.IntN(3) == 0 {
		return cl.announce(second, "")
	}
	other := make(chan error, 1)
	go func() { other <- cl.announce(first, "") }()
	return errors.Join(cl.announce(second, ""), <-other)
}

// ackedBefore is the highest counter that was answered before a time.
func (cl *countingClient) ackedBefore(end time.Time) (counter int64) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for _, a := range cl.acked {
		if a.at.Before(end) {
			counter = max(counter, a.counter)
		}
	}
	return counter
}

// killUnderLoad lets clients announce, all at once, and kills the tracker after
// a time, and not before isTime.
func (c *countedTracker) killUnderLoad(clients []*countingClient, after time.Duration, isTime func() bool) {
	c.t.Helper()
	moment := time.After(after)
	var announcing sync.WaitGroup
	for _, cl := range clients {
		announcing.Go(func() {
			for cl.some() == nil {
			}
			cl.http.CloseIdleConnections()
		})
	}
	<-moment
	c.await("a batch is not stored", isTime)
	c.process.signal(c.t, syscall.SIGKILL)
	c.process.end(c.t)
	announcing.Wait()
}

// checkBounds holds the stored sums of the clients' users to what was announced
// at most, and to what was answered before the last batch at least.
func (c *countedTracker) checkBounds(what string, clients []*countingClient) (stored int64) {
	c.t.Helper()
	flushed := c.lastFlush()
	least, most := map[ledger.UserID]int64{}, map[ledger.UserID]int64{}
	for _, cl := range clients {
		least[cl.user] += cl.ackedBefore(flushed)
		most[cl.user] += cl.sent
	}
	sums := c.uploaded()
	for user := range most {
		if sums[user] < least[user] || sums[user] > most[user] {
			c.t.Errorf("%s: user %d has %d bytes stored; at least %d, at most %d were announced", what, user, sums[user], least[user], most[user])
		}
		stored += sums[user]
	}
	return stored
}

// A private tracker is killed at random moments while clients announce, twice,
// in the wrong order and at once. Nobody ever has more than was announced, or
// less than what was answered before the last batch that is stored. Clients
// that go on afterwards bring what was lost: in the end their sums are exact.
func TestKilledTracker(t *testing.T) {
	t.Parallel()
	numKills := defaultKills
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if numKills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %d kills", seed, numKills)
	rng := rand.New(rand.NewPCG(seed, 0))
	c := newCountedTracker(t, rng)
	var steady []*countingClient
	for n := range 4 {
		user, path := c.addUser(fmt.Sprintf("steady%d", n))
		for i := range 2 {
			steady = append(steady, c.newClient(user, path, uint64(2*n+i)))
		}
	}
	c.start()
	for _, cl := range steady {
		if err := cl.announce(0, "&event=started"); err != nil {
			t.Fatal(err)
		}
	}
	c.stop()
	var stored, announced int64 // of clients that do not come back
	for kill := range numKills {
		what := fmt.Sprintf("seed %d, kill %d", seed, kill)
		// A user whose clients begin in this run, and never come back.
		user, path := c.addUser(fmt.Sprintf("fleeting%d", kill))
		fleeting := []*countingClient{c.newClient(user, path, uint64(1000+2*kill)), c.newClient(user, path, uint64(1001+2*kill))}
		c.start()
		for _, cl := range fleeting {
			if err := cl.announce(0, "&event=started"); err != nil {
				t.Fatal(err)
			}
		}
		// Any moment, but each part of the time between two batches has its
		// share.
		moment := (float64(kill) + rng.Float64()) / float64(numKills)
		// The last comes after a batch, however slow the machine is.
		isTime := func() bool { return kill < numKills-1 || c.uploaded()[user] > 0 }
		c.killUnderLoad(append(fleeting, steady...), time.Duration(moment*float64(longestRun)), isTime)
		c.checkBounds(what, steady)
		stored += c.checkBounds(what, fleeting)
		for _, cl := range fleeting {
			announced += cl.sent
		}
	}
	t.Logf("%d announces; of %d bytes by clients that never came back %d are stored", c.answered.Load(), announced, stored)
	if stored == 0 || stored == announced {
		t.Error("no kill came between two batches, or all before the first")
	}
	c.start()
	for _, cl := range steady {
		if err := cl.announce(cl.sent, ""); err != nil {
			t.Fatal(err)
		}
	}
	c.stop()
	c.checkExact(steady)
}

// checkExact holds the stored sums to the clients' last counters.
func (c *countedTracker) checkExact(clients []*countingClient) {
	c.t.Helper()
	want := map[ledger.UserID]int64{}
	for _, cl := range clients {
		want[cl.user] += cl.sent
	}
	sums := c.uploaded()
	for user := range want {
		if sums[user] != want[user] {
			c.t.Errorf("user %d has %d bytes stored, his clients announced %d", user, sums[user], want[user])
		}
	}
}

// While another process holds the database, announces are answered and counted
// as ever; once it lets go, every byte is stored.
func TestLockedTracker(t *testing.T) {
	t.Parallel()
	lock := defaultLock
	if text := os.Getenv(lockVariable); text != "" {
		var err error
		if lock, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d, locked for %v", seed, lock)
	c := newCountedTracker(t, rand.New(rand.NewPCG(seed, 0)))
	var clients []*countingClient
	for n := range 4 {
		user, path := c.addUser(fmt.Sprintf("user%d", n))
		clients = append(clients, c.newClient(user, path, seed%1000+uint64(n)))
	}
	c.start()
	for _, cl := range clients {
		if err := cl.announce(0, "&event=started"); err != nil {
			t.Fatal(err)
		}
	}
	release := c.lock()
	during, cancel := context.WithTimeout(t.Context(), lock)
	defer cancel()
	var announcing sync.WaitGroup
	slowest := make([]time.Duration, len(clients))
	for i, cl := range clients {
		announcing.Go(func() {
			for during.Err() == nil {
				begin := time.Now()
				if err := cl.some(); err != nil {
					t.Error(err)
					return
				}
				slowest[i] = max(slowest[i], time.Since(begin))
			}
		})
	}
	announcing.Wait()
	before := c.answered.Load()
	release()
	for _, cl := range clients {
		if err := cl.announce(cl.sent, ""); err != nil {
			t.Fatal(err)
		}
	}
	c.stop()
	c.checkExact(clients)
	t.Logf("%d announces were answered meanwhile, the slowest after %v", before, slowest)
}

// lock holds the database as another writer does, until release is called.
func (c *countedTracker) lock() (release func()) {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+c.db+"?_pragma=busy_timeout(10000)")
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := db.Conn(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := conn.ExecContext(c.t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(c.t.Context(), "ROLLBACK"); err != nil {
			c.t.Error(err)
		}
		conn.Close()
		db.Close()
	}
}
