package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/piecestore"
	"github.com/shoal-bt/shoal/tracker/server"
)

func demoCommand() command {
	return command{
		name:    "demo",
		summary: "show a whole swarm at work on this machine",
		usage:   "",
		about: `
A tracker, one seed and four downloaders in one process, over real sockets of
the loopback interface. The seed uploads 16 MiB/s at most, so that the
downloaders have to share what they have. Everything is checked at the end,
nothing is left behind, and no network is needed.`,
		example: "shoal demo",
		new:     func() runner { return demoRun{} },
	}
}

type demoRun struct{}

func (demoRun) flags(*pflag.FlagSet) {}

func (demoRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("it takes no argument, but got %q", args[0])
	}
	return demo(ctx, e, demoSize{totalLen: 64 << 20, pieceLen: 256 << 10, downloaders: 4, seedRate: 16 << 20})
}

// demoSize says how much a demo moves: a test is content with less.
type demoSize struct {
	totalLen, pieceLen int64 // in bytes
	downloaders        int
	seedRate           rateFlag
}

// loopback is where the demo happens.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// demoTimeout ends a demo that does not come to its end: it has to be some
// kind of defect, as it takes seconds.
const demoTimeout = 5 * time.Minute

func demo(ctx context.Context, e *env, size demoSize) (err error) {
	dir, err := os.MkdirTemp("", "shoal-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // also after Ctrl-C, which ends ctx only
	tracker, err := startTracker(ctx, netip.AddrPortFrom(loopback, 0).String(), server.Config{Interval: time.Minute})
	if err != nil {
		return err
	}
	defer tracker.stop()
	e.printf("tracker      %s\n", tracker.announceURL(loopback))

	m, err := makeDemoTorrent(ctx, e, dir, size, tracker.announceURL(loopback))
	if err != nil {
		return err
	}
	e.printf("torrent      %s in %s of %s\n", formatSize(m.Info.Geometry.TotalLen()),
		count(m.Info.Geometry.NumPieces(), "piece"), formatSize(int64(m.Info.Geometry.StdPieceLen())))
	e.printf("seed         one, uploads at most %s\n", formatRate(int64(size.seedRate)))
	e.printf("downloaders  %d\n\n", size.downloaders)

	swarm, err := newDemoSwarm(e, dir, size, m)
	if err == nil {
		err = swarm.run(ctx, e)
	}
	swarm.close(ctx)
	if err != nil {
		return err
	}
	return swarm.report(ctx, e)
}

// demoFiles is how the data is cut into files; the second begins inside of a
// piece.
var demoFiles = []struct {
	name  string
	share int64 // in hundredths
}{{"a small one.bin", 7}, {"folder/the large one.bin", 93}}

// makeDemoTorrent writes the data, and makes the torrent of it.
func makeDemoTorrent(ctx context.Context, e *env, dir string, size demoSize, url string) (*metainfo.Metainfo, error) {
	data := filepath.Join(dir, "seed", "demo")
	// Which bytes does not matter, as long as no two pieces are equal.
	source := rand.NewChaCha8([32]byte{})
	for _, f := range demoFiles {
		path := filepath.Join(data, filepath.FromSlash(f.name))
		if err := writeRandom(path, source, size.totalLen*f.share/100); err != nil {
			return nil, err
		}
	}
	m, _, err := e.createTorrent(ctx, true, data, metainfo.CreateOptions{
		Announce: [][]string{{url}}, PieceLen: size.pieceLen, NoDate: true,
	})
	return m, err
}

func writeRandom(path string, source io.Reader, length int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, source, length); err != nil {
		return err
	}
	return f.Close()
}

// demoSwarm is a session for each peer, the seed first: they have nothing in
// common but the sockets.
type demoSwarm struct {
	meta     *metainfo.Metainfo
	sessions []*session
}

func newDemoSwarm(e *env, dir string, size demoSize, m *metainfo.Metainfo) (*demoSwarm, error) {
	d := &demoSwarm{meta: m}
	for i := range size.downloaders + 1 {
		conn := &connFlags{bindAddr: loopback}
		t := &transfer{meta: m, dir: filepath.Join(dir, "seed")}
		if i == 0 {
			conn.up = size.seedRate
		} else {
			t.dir = filepath.Join(dir, fmt.Sprintf("downloader %d", i))
		}
		var err error
		if t.want, err = selectFiles(&m.Info, nil); err != nil {
			return d, err
		}
		t.have = bitfield.New(m.Info.Geometry.NumPieces())
		if i == 0 {
			t.have.Fill() // its data was hashed just now
		}
		s := newSession(e, conn, true)
		if t.store, err = openDownload(t.dir, &m.Info, s.handles); err != nil {
			return d, err
		}
		s.transfers = append(s.transfers, t)
		d.sessions = append(d.sessions, s)
	}
	return d, nil
}

// run starts the peers and shows their progress until all are complete.
func (d *demoSwarm) run(ctx context.Context, e *env) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("the swarm is not complete after %v", demoTimeout))
	defer cancel()
	for _, s := range d.sessions {
		if err := s.open(ctx); err != nil {
			return err
		}
		if err := s.start(s.transfers[0]); err != nil {
			return err
		}
	}
	display := e.newDisplay(false)
	defer display.close()
	for _, s := range d.sessions {
		s.display = display
	}
	ticker := time.NewTicker(drawInterval)
	defer ticker.Stop()
	for !d.look(display) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}

// look shows the downloaders and reports whether all are complete.
func (d *demoSwarm) look(display display) bool {
	now := time.Now()
	complete := true
	var all []progress
	for i, s := range d.sessions {
		shown := s.look(now)
		if i == 0 {
			continue
		}
		shown[0].name = fmt.Sprintf("downloader %d", i)
		all = append(all, shown...)
		complete = complete && !s.transfers[0].finished.IsZero()
	}
	display.show(now, all)
	return complete
}

// close stops the peers, the downloaders first: they still say goodbye.
func (d *demoSwarm) close(ctx context.Context) {
	for i := len(d.sessions) - 1; i >= 0; i-- {
		s := d.sessions[i]
		t := s.transfers[0]
		store := t.store
		t.store = nil // it is verified before it is closed
		if err := s.close(ctx); err != nil {
			s.e.logf("%v", err)
		}
		t.store = store
	}
}

// report verifies every copy by reading it back, and prints the table.
func (d *demoSwarm) report(ctx context.Context, e *env) error {
	bad := 0
	e.printf("%-14s %9s %14s %14s %10s\n", "", "time", "rate", "uploaded", "verified")
	for i, s := range d.sessions {
		t := s.transfers[0]
		good, err := piecestore.Verify(ctx, t.store, t.meta.Info.Geometry, t.meta.Info.PieceHash, nil, 0, nil)
		if err != nil {
			return err
		}
		t.store.Close()
		verdict := "yes"
		if !good.All() {
			verdict, bad = "NO", bad+1
		}
		name, took, rate := "seed", "", ""
		if i > 0 {
			name = fmt.Sprintf("downloader %d", i)
			took = formatDuration(t.downloadTime())
			rate = formatRate(int64(float64(t.stats.Downloaded) / max(t.downloadTime().Seconds(), 1e-3)))
		}
		e.printf("%-14s %9s %14s %14s %10s\n", name, took, rate, formatSize(t.stats.Uploaded), verdict)
	}
	if bad > 0 {
		return mismatchf("%d of %s damaged", bad, count(len(d.sessions), "copy"))
	}
	seed := d.sessions[0].transfers[0].stats.Uploaded
	e.printf("\nEvery byte of every copy is right. The seed sent %.1f copies for %d downloaders.\n",
		float64(seed)/float64(d.meta.Info.Geometry.TotalLen()), len(d.sessions)-1)
	return nil
}
