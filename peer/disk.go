package peer

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// workers are the goroutines that hash and write, shared by the torrents of a
// client. Their queue is bounded by the block memory: a job works on a piece
// that was assembled.
type workers struct {
	running sync.WaitGroup

	mu     sync.Mutex
	ready  sync.Cond // signalled when there is a job, or no more will come
	queue  []func()
	closed bool
}

// newWorkers starts n workers. close ends them.
func newWorkers(n int) *workers {
	w := &workers{}
	w.ready.L = &w.mu
	for range n {
		w.running.Go(w.work)
	}
	return w
}

func (w *workers) work() {
	for job := w.next(); job != nil; job = w.next() {
		job()
	}
}

// next waits for a job. It is nil when all are done and no more will come.
func (w *workers) next() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.ready.Wait()
	}
	if len(w.queue) == 0 {
		return nil
	}
	job := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	return job
}

// do leaves a job to the workers.
func (w *workers) do(job func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, job)
	w.ready.Signal()
}

// close waits for the jobs that are there, then ends the workers.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.ready.Broadcast()
	w.mu.Unlock()
	w.running.Wait()
}

// storeState is when the loop has to look after the store.
type storeState struct {
	retryAt time.Duration // try again what could not be stored; never if all is well
	pause   time.Duration // before the next try
	syncAt  time.Duration // bring to the disk what was written; never if nothing was
}

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

func newStoreState() storeState {
	return storeState{retryAt: never, pause: minStoreRetry, syncAt: never}
}

// nextAt is when something of it is due.
func (s *storeState) nextAt() time.Duration { return min(s.retryAt, s.syncAt) }

// storeError is what the store last failed with.
type storeError struct {
	err     error
	reading bool
}

// Err is what keeps the torrent from going on: a disk that is full or broken.
// It is nil if all is well, and again once it is.
func (t *Torrent) Err() error {
	if e := t.err.Load(); e != nil {
		return e.err
	}
	return nil
}

// startJob leaves work to the disk workers. The event that it returns goes to
// the loop.
func (t *Torrent) startJob(job func() event) {
	t.jobs++
	t.client.disk.do(func() {
		result := job()
		t.inbox.put(event{do: func() { t.jobs-- }}, result)
	})
}

// startVerify has a complete piece hashed and stored.
func (t *Torrent) startVerify(pieceIndex int, digests bool) {
	t.startJob(func() event { return t.verify(pieceIndex, digests) })
}

// verify is the work on a complete piece. A piece that could not be stored
// stays in memory, to be tried again.
func (t *Torrent) verify(pieceIndex int, digests bool) event {
	verified := engine.Input{Kind: engine.InVerified, Piece: pieceIndex}
	content := t.content()
	ok, err := content.assembly.Verify(pieceIndex, content.info.PieceHash(pieceIndex))
	if errors.Is(err, piecestore.ErrNotOpen) || errors.Is(err, piecestore.ErrIncomplete) {
		return event{} // the engine dropped it meanwhile
	}
	if err == nil && (digests || !ok) { // of a piece that failed they are always of use
		verified.Digests = content.assembly.BlockDigests(pieceIndex)
	}
	if ok {
		err = content.storePiece(pieceIndex)
	}
	if err != nil {
		failed := engine.Input{Kind: engine.InStoreFailed, Piece: pieceIndex}
		return event{in: failed, do: func() { t.storeFailed(err) }}
	}
	content.assembly.Drop(pieceIndex)
	verified.OK = ok
	if !ok {
		t.log.Debug("hash check failed", "piece", pieceIndex)
		t.noteAbsent(pieceIndex)
		return event{in: verified}
	}
	return event{in: verified, do: t.storeWorked}
}

// storePiece writes a verified piece, between the two notes of the journal: a
// crash in between leaves a piece that is known to be in doubt.
func (c *content) storePiece(pieceIndex int) error {
	if c.resume == nil {
		return c.assembly.Write(pieceIndex)
	}
	if err := c.resume.Begin(pieceIndex); err != nil {
		return err
	}
	if err := c.assembly.Write(pieceIndex); err != nil {
		return err
	}
	return c.resume.Done(pieceIndex)
}

// noteAbsent takes a piece that failed its hash out of doubt: parts of it may
// have been spilled, and the next run would read it again for nothing. Until
// the loop hears that it failed, nobody else writes it. A note that fails costs
// no more than that reading.
func (t *Torrent) noteAbsent(pieceIndex int) {
	resume := t.content().resume
	if resume == nil {
		return
	}
	if err := resume.Absent(pieceIndex); err != nil {
		t.log.Debug("not noted as absent", "piece", pieceIndex, "err", err)
	}
}

// startSpill has what has arrived of a piece moved from memory to the store.
func (t *Torrent) startSpill(pieceIndex int) {
	t.startJob(func() event {
		err := t.content().spill(pieceIndex)
		if err == nil || errors.Is(err, piecestore.ErrNotOpen) {
			return event{}
		}
		failed := engine.Input{Kind: engine.InStoreFailed, Piece: pieceIndex}
		return event{in: failed, do: func() { t.storeFailed(err) }}
	})
}

func (c *content) spill(pieceIndex int) error {
	if c.resume != nil {
		if err := c.resume.Begin(pieceIndex); err != nil {
			return err
		}
	}
	return c.assembly.Spill(pieceIndex)
}

// storeFailed notes that the store does not take what we have, and when to try
// again.
func (t *Torrent) storeFailed(err error) {
	if piecestore.IsNoSpace(err) {
		err = fmt.Errorf("the disk is full; free some space and the download goes on: %w", err)
	}
	t.err.Store(&storeError{err: err})
	if t.store.retryAt == never {
		t.log.Debug("store failed", "err", err, "retry", t.store.pause)
		t.store.retryAt = t.now + t.store.pause
		t.store.pause = min(2*t.store.pause, maxStoreRetry)
	}
}

// storeWorked notes that a piece was stored.
func (t *Torrent) storeWorked() {
	t.err.Store(nil)
	t.store.pause = minStoreRetry
	if t.content().resume != nil && t.store.syncAt == never {
		t.store.syncAt = t.now + syncEvery
	}
}

// storeReadFailed notes that a block could not be read for a peer that asked
// for it. Writers call it. It does not take the place of an error of writing,
// which a read that works would then take back.
func (t *Torrent) storeReadFailed(err error) {
	failed := &storeError{err: fmt.Errorf("cannot be shared: %w", err), reading: true}
	if e := t.err.Load(); e == nil || e.reading {
		t.err.CompareAndSwap(e, failed)
	}
}

// storeReadWorked takes that back.
func (t *Torrent) storeReadWorked() {
	if e := t.err.Load(); e != nil && e.reading {
		t.err.CompareAndSwap(e, nil)
	}
}

// lookAfterStore does what is due at the store.
func (t *Torrent) lookAfterStore() {
	if t.store.retryAt <= t.now {
		t.store.retryAt = never
		t.tell(engine.Input{Kind: engine.InStoreReady})
	}
	if t.store.syncAt <= t.now {
		t.store.syncAt = never
		t.startJob(func() event {
			if err := t.content().resume.Sync(); err != nil {
				t.log.Debug("sync failed", "err", err)
			}
			return event{}
		})
	}
}
