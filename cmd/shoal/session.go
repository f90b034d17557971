package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
	"github.com/shoal-bt/shoal/tracker/client"
)

// closeTimeout is how long a session may take to say goodbye to its peers and
// trackers. Trackers alone are given 5 s.
const closeTimeout = 8 * time.Second

// session is one run of get, seed or share: a peer.Client and its torrents.
type session struct {
	e         *env
	conn      *connFlags
	quiet     bool
	handles   *piecestore.Handles // open files, of all torrents together
	transfers []*transfer
	display   display // while run is running

	client   *peer.Client // nil before open
	trackers *client.Client
	dht      *dht.Server      // nil: none is used
	fixed    []netip.AddrPort // --peer
	notes    noteBox
	wake     chan struct{} // has a value when run should look at once

	webSeeds     []string // --web-seed
	webSeedBelow int      // as peer.TorrentConfig has it

	tasks    sync.WaitGroup // what runs in the background, until endTasks
	working  context.Context
	endTasks context.CancelFunc
}

// transfer is one torrent of a session. The goroutine of run owns it.
type transfer struct {
	contents
	dir    string // the folder that holds its data
	order  engine.Order
	magnet *magnet // what it began with, nil for a .torrent

	torrent   *peer.Torrent // nil before start
	finder    *trackerFinder
	dhtFinder *dhtFinder
	failed    error // why it cannot go on

	begun      time.Time
	finished   time.Time // zero while incomplete
	moved      time.Time // when the last bytes came
	movedBytes int64
	paused     bool // the store refuses data
	gaveUp     bool // after --timeout
	stats      peer.Stats

	webSeedsTold int // failures of web seeds that the user knows of
}

// contents is what a transfer consists of, and how much of it is there. That of
// a magnet link is zero until its metadata has come.
type contents struct {
	meta      *metainfo.Metainfo
	want      selection
	have      *bitfield.Set // verified, when the transfer began
	store     *piecestore.Files
	resume    *piecestore.Resume // nil for a seed, which has nothing to remember
	before    piecestore.State   // what resume knew
	rechecked int                // pieces that had to be read again, before the download began
	needed    int64              // bytes that the disk must still give
}

// newContents returns contents of which nothing is there as far as is known.
func newContents(m *metainfo.Metainfo, want selection) contents {
	return contents{meta: m, want: want, have: bitfield.New(m.Info.Geometry.NumPieces())}
}

func newSession(e *env, conn *connFlags, quiet bool) *session {
	s := &session{e: e, conn: conn, quiet: quiet, handles: piecestore.NewHandles(0), wake: make(chan struct{}, 1)}
	s.working, s.endTasks = context.WithCancel(context.Background())
	return s
}

// open makes the client: from here on others can connect.
func (s *session) open(ctx context.Context) (err error) {
	if s.fixed, err = s.conn.addresses(ctx); err != nil {
		return err
	}
	s.client, err = peer.New(s.conn.config())
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EINVAL) { // the latter of fe80::1 without a zone
		return fmt.Errorf("--bind %s is not an address of this machine: %w", s.conn.bindAddr, err)
	}
	if err != nil {
		return err
	}
	s.trackers = newTrackerClient(s.conn.bindAddr)
	s.openDHT()
	return nil
}

// tellListening says that who connects finds the torrents: all were started.
func (s *session) tellListening() {
	s.e.tellListening("peer", netip.AddrPortFrom(s.conn.bindAddr, uint16(s.client.Port())))
}

// start adds a transfer to the client. A magnet link without metadata is added
// as such.
func (s *session) start(t *transfer) (err error) {
	cfg := peer.TorrentConfig{InfoHash: t.infoHash(), Peers: s.fixed, Order: t.order, NoPEX: s.conn.noPEX, WebSeedBelow: s.webSeedBelow}
	if t.meta != nil {
		t.startClock()
		info := s.infoConfig(t)
		cfg.Info, cfg.Metadata = info.Info, t.meta.InfoBytes
		cfg.Storage, cfg.Resume, cfg.Have, cfg.Want = info.Storage, info.Resume, info.Have, info.Want
		cfg.WebSeeds = info.WebSeeds
	}
	if tiers := t.tiers(); !s.conn.noTracker && len(tiers) > 0 {
		t.finder = &trackerFinder{client: s.trackers, tiers: tiers}
		cfg.Finders = append(cfg.Finders, t.finder)
	}
	if s.dht != nil && !t.isPrivate() {
		t.dhtFinder = newDHTFinder(s.dht, t.nodes())
		cfg.Finders = append(cfg.Finders, t.dhtFinder)
	}
	if t.torrent, err = s.client.Add(cfg); err != nil {
		return fmt.Errorf("%s: %w", t.name(), err)
	}
	s.tasks.Go(func() { s.wakeAt(t.torrent.Completed()) })
	if t.magnet != nil {
		s.tasks.Go(func() { s.callPeers(t) })
	}
	return nil
}

// startClock is for the moment at which the download begins.
func (t *transfer) startClock() {
	t.begun = time.Now()
	t.moved = t.begun
	if t.isComplete() {
		t.finished = t.begun
	}
}

// infoConfig is what the client has to know of the contents of a transfer.
func (s *session) infoConfig(t *transfer) peer.InfoConfig {
	return peer.InfoConfig{
		Info: &t.meta.Info, Storage: t.store, Resume: t.resume,
		Have: t.have.Clone(), Want: t.want.want.Clone(), WebSeeds: slices.Concat(s.webSeeds, t.meta.WebSeeds),
	}
}

func (t *transfer) infoHash() metainfo.InfoHash {
	if t.meta == nil {
		return t.magnet.InfoHash
	}
	return t.meta.InfoHash
}

// tiers are the torrent's trackers.
func (t *transfer) tiers() [][]string {
	if t.meta == nil {
		return t.magnet.Announce()
	}
	return t.meta.Announce
}

// nodes are the torrent's DHT nodes.
func (t *transfer) nodes() []string {
	if t.meta == nil {
		return nil
	}
	return t.meta.Nodes
}

// isPrivate reports whether peers come from trackers alone (BEP 27), as far as
// is known.
func (t *transfer) isPrivate() bool { return t.meta != nil && t.meta.Info.Private }

// run shows progress and tells news until done says so, or ctx ends.
func (s *session) run(ctx context.Context, done func(now time.Time) bool) error {
	s.display = s.e.newDisplay(s.quiet)
	defer s.display.close()
	s.tellListening()
	ticker := time.NewTicker(drawInterval)
	defer ticker.Stop()
	for {
		now := s.e.now()
		all := s.look(now)
		for _, line := range s.notes.take() {
			s.display.note("%s", line)
		}
		s.display.show(now, all)
		if s.e.looked != nil {
			s.e.looked(all)
		}
		if done(now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// wakeAt has run look when done is closed.
func (s *session) wakeAt(done <-chan struct{}) {
	select {
	case <-done:
		s.wakeUp()
	case <-s.working.Done():
	}
}

// wakeUp has run look at once.
func (s *session) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to
	}
}

// tell shows a line that stays, unless the user wants none.
func (s *session) tell(format string, args ...any) {
	if !s.quiet {
		s.display.note(format, args...)
	}
}

// look brings every transfer up to date and returns what there is to show.
func (s *session) look(now time.Time) []progress {
	var all []progress
	for _, t := range s.transfers {
		s.takeStep(t)
		if t.torrent == nil && !t.isPending() {
			continue
		}
		t.look(now)
		for _, line := range t.news() {
			s.display.note("%s: %s", t.name(), line)
		}
		all = append(all, t.progress())
	}
	return all
}

// look takes a snapshot of the torrent.
func (t *transfer) look(now time.Time) {
	if t.torrent == nil {
		return // a mutable magnet link that is being looked up
	}
	t.stats = t.torrent.Stats()
	// While the disk is full, nobody is to blame that nothing arrives.
	// Nor while it is we who look at what is there.
	if bytes := t.stats.Downloaded + int64(t.stats.MetadataHave); bytes != t.movedBytes || t.torrent.Err() != nil || t.isChecking() {
		t.moved, t.movedBytes = now, bytes
	}
	select {
	case <-t.torrent.Completed():
		if t.finished.IsZero() {
			t.finished = now
		}
	default:
	}
}

// news returns what went wrong, or right again, since the last call.
func (t *transfer) news() []string {
	var lines []string
	if t.torrent != nil {
		lines = append(t.storeNews(t.torrent.Err()), t.webSeedNews()...)
	}
	if t.finder != nil {
		lines = append(lines, t.finder.troubles()...)
	}
	return lines
}

// storeNews says once that the store refuses data, though every try may fail at
// another piece, and once that it takes data again.
func (t *transfer) storeNews(err error) []string {
	was := t.paused
	t.paused = err != nil
	switch {
	case t.paused && !was:
		return []string{"paused: " + printable(err.Error())}
	case was && !t.paused:
		return []string{"the disk takes data again; going on"}
	}
	return nil
}

// webSeedNews says once of each failure of a web seed what it was.
func (t *transfer) webSeedNews() (lines []string) {
	failures := t.torrent.WebSeedFailures()
	for _, f := range failures[t.webSeedsTold:] {
		lines = append(lines, describeFailure(f))
	}
	t.webSeedsTold = len(failures)
	return lines
}

func describeFailure(f peer.WebSeedFailure) string {
	line := "web seed " + printable(f.URL) + ": " + printable(f.Reason)
	if f.GivenUp {
		return line + "; it is not asked again"
	}
	return line + "; trying again later"
}

// name is the torrent's, safe to print.
func (t *transfer) name() string {
	if t.meta == nil {
		return t.magnet.name()
	}
	return printable(t.meta.Info.Name)
}

// isComplete reports whether all that is wanted was there before the start.
func (t *transfer) isComplete() bool { return missing(t.have, t.want.want).Count() == 0 }

// left is the number of wanted bytes that are not there yet.
func (t *transfer) left() int64 {
	switch {
	case !t.finished.IsZero():
		return 0
	case t.meta == nil: // nobody knows
		return 0
	case t.torrent == nil || t.stats.NumPieces == 0: // the engine has not begun
		return lenOf(&t.meta.Info, missing(t.have, t.want.want))
	}
	return t.stats.Left
}

// piecesLeft is left in pieces. Only the last piece can be shorter than the
// others, so rounding up is exact.
func (t *transfer) piecesLeft() int {
	pieceLen := int64(t.meta.Info.Geometry.StdPieceLen())
	return int((t.left() + pieceLen - 1) / pieceLen)
}

// uploaded counts the bytes of earlier runs, too.
func (t *transfer) uploaded() int64 { return t.before.Uploaded + t.stats.Uploaded }

// ratio is what was uploaded in proportion to what the torrent has.
func (t *transfer) ratio() float64 {
	if t.want.bytes == 0 {
		return 0
	}
	return float64(t.uploaded()) / float64(t.want.bytes)
}

func (t *transfer) progress() progress {
	p := progress{name: t.name(), done: t.want.bytes - t.left(), total: t.want.bytes, unknown: t.meta == nil}
	s := &t.stats
	peers := count(s.Conns, "peer")
	switch {
	case t.failed != nil:
		p.detail = "failed"
	case t.gaveUp:
		p.detail = "gave up"
	case t.meta == nil:
		p.detail = t.magnet.progress(s)
	case !t.finished.IsZero():
		p.detail = fmt.Sprintf("complete, up %s, ratio %.2f, %s", formatRate(int64(s.UpRate)), t.ratio(), peers)
	default:
		eta := ""
		if s.DownRate > 0 {
			eta = fmt.Sprintf(", ETA %s", formatDuration(time.Duration(t.left()/int64(s.DownRate))*time.Second))
		}
		// What matters least comes last: a narrow terminal cuts it.
		p.detail = fmt.Sprintf("%d/%d pieces, down %s%s, up %s, %s", t.want.want.Count()-t.piecesLeft(), t.want.want.Count(),
			formatRate(int64(s.DownRate)), eta, formatRate(int64(s.UpRate)), peers)
	}
	return p
}

// close ends the session whatever state it is in: the torrents say goodbye,
// what was verified is saved, and the files are closed. It goes on after the
// end of ctx, which is how most sessions come to theirs.
func (s *session) close(ctx context.Context) error {
	if s.client != nil && ctx.Err() != nil && !s.quiet { // the five of demo, too, would all say it
		s.e.logf("stopping; Ctrl-C once more ends it at once")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s.endTasks()
	if s.client != nil {
		if err := s.client.Close(ctx); err != nil {
			s.e.logf("stopping: %s", printable(err.Error()))
		}
	}
	s.tasks.Wait()
	s.closeDHT(ctx)
	for _, line := range s.notes.take() {
		s.e.logf("%s", line)
	}
	var errs []error
	for _, t := range s.transfers {
		t.takeOver()
		if err := t.close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.name(), err))
		}
	}
	return errors.Join(errs...)
}

// close saves what is known about the data. The torrent must have stopped. The
// resume file of a torrent that is complete has served its purpose.
func (t *transfer) close() error {
	if t.store == nil {
		return nil
	}
	defer t.store.Close()
	t.look(time.Now())
	if t.resume == nil {
		return nil
	}
	if t.torrent != nil {
		t.resume.SetTotals(t.uploaded(), t.before.Downloaded+t.stats.Downloaded)
	}
	err := t.resume.Sync()
	if closeErr := t.resume.Close(); err == nil {
		err = closeErr
	}
	if err == nil && t.hasAll() {
		err = os.Remove(resumePath(t.dir, &t.meta.Info))
	}
	return err
}

// hasAll reports whether the whole torrent is there, not just the selection.
func (t *transfer) hasAll() bool {
	all := t.meta.Info.Geometry.NumPieces()
	return t.have.Count() == all || t.torrent != nil && t.stats.HavePieces == all && t.stats.NumPieces == all
}
