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
A tracker, a DHT, one seed and four downloaders in one process, over real
sockets of the loopback interface. The seed uploads 16 MiB/s at most, so that
the downloaders have to share what they have; the last of them begins with the
magnet link alone. Everything is checked at the end, nothing is left behind, and
no network is needed.`,
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
	e.printf("downloaders  %d, the last one with the magnet link alone\n\n", size.downloaders)

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
		s := newSession(e, &connFlags{bindAddr: loopback}, true)
		d.sessions = append(d.sessions, s)
		t := &transfer{dir: filepath.Join(dir, fmt.Sprintf("downloader %d", i))}
		s.transfers = append(s.transfers, t)
		if i == size.downloaders {
			t.magnet = &magnet{Magnet: m.Magnet()}
			continue
		}
		if i == 0 {
			s.conn.up = size.seedRate
			t.dir = filepath.Join(dir, "seed")
		}
		want, err := selectFiles(&m.Info, nil)
		if err != nil {
			return d, err
		}
		t.contents = newContents(m, want)
		if i == 0 {
			t.have.Fill() // its data was hashed just now
		}
		if t.store, err = openDownload(t.dir, &m.Info, s.handles); err != nil {
			return d, err
		}
	}
	return d, nil
}

// run starts the peers and shows their progress until all are complete.
func (d *demoSwarm) run(ctx context.Context, e *env) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("the swarm is not complete after %v", demoTimeout))
	defer cancel()
	for _, s := range d.sessions {
		if err := d.start(ctx, s); err != nil {
			return err
		}
	}
	display := e.newDisplay(false)
	defer display.close()
	for _, s := range d.sessions {
		s.display = display
		s.tellListening()
	}
	ticker := time.NewTicker(drawInterval)
	defer ticker.Stop()
	for {
		if complete, err := d.look(display); complete || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// start starts one peer. The DHT node of the first is the one by which the
// others join.
func (d *demoSwarm) start(ctx context.Context, s *session) error {
	if first := d.sessions[0]; first.dht != nil {
		s.conn.bootstrap = []string{first.dht.Addrs()[0].String()}
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if s.transfers[0].meta == nil {
		return s.startMagnet(s.transfers[0])
	}
	return s.start(s.transfers[0])
}

// look shows the downloaders and reports whether all are complete.
func (d *demoSwarm) look(display display) (complete bool, err error) {
	now := time.Now()
	complete = true
	var all []progress
	for i, s := range d.sessions {
		shown := s.look(now)
		if t := s.transfers[0]; t.failed != nil {
			return false, t.failed
		}
		if i == 0 {
			continue
		}
		shown[0].name = fmt.Sprintf("downloader %d", i)
		all = append(all, shown...)
		complete = complete && !s.transfers[0].finished.IsZero()
	}
	display.show(now, all)
	return complete, nil
}

// close stops the peers, the downloaders first: they still say goodbye.
func (d *demoSwarm) close(ctx context.Context) {
	for i := len(d.sessions) - 1; i >= 0; i-- {
		if err := d.sessions[i].close(ctx); err != nil {
			d.sessions[i].e.logf("%v", err)
		}
	}
}

// report verifies every copy by reading it back, and prints the table.
func (d *demoSwarm) report(ctx context.Context, e *env) error {
	bad := 0
	e.printf("%-14s %9s %14s %14s %10s\n", "", "time", "rate", "uploaded", "verified")
	for i, s := range d.sessions {
		t := s.transfers[0]
		good, err := verifyCopy(ctx, t.dir, d.meta)
		if err != nil {
			return err
		}
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

// verifyCopy reads the copy in a folder, and returns the pieces that are right.
func verifyCopy(ctx context.Context, dir string, m *metainfo.Metainfo) (*bitfield.Set, error) {
	store, err := openDataBelow(dir, &m.Info, nil)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return piecestore.Verify(ctx, store, m.Info.Geometry, m.Info.PieceHash, nil, 0, nil)
}
