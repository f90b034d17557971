package peer

import (
	"context"
	"errors"
	"fmt"
)

// Stop ends the torrent: finders say goodbye, connections are closed, pieces
// that are complete are written, and the resume file is checkpointed. It waits
// for all that; if ctx is done first, finders are waited for no longer, and if
// the disk then still does not answer, Stop returns ctx's error while the rest
// ends in the background.
func (t *Torrent) Stop(ctx context.Context) error {
	t.stop.Do(func() {
		go t.end(ctx)
	})
	select {
	case <-t.ended:
		return t.stopErr
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", t.infoHash, ctx.Err())
	}
}

// end stops the torrent, from the outside in.
func (t *Torrent) end(ctx context.Context) {
	// The finders first: they want to tell how much was moved in the end, and
	// what they find until then does no harm.
	findErr := t.endFinders(ctx)
	t.endDialing()
	t.inbox.put(event{do: t.windDown})
	<-t.loopEnded
	t.tasks.Wait()
	var resumeErr error
	content := t.content()
	if content != nil && content.resume != nil {
		resumeErr = content.resume.Checkpoint()
	}
	if err := errors.Join(findErr, resumeErr); err != nil {
		t.stopErr = fmt.Errorf("stop %s: %w", t.infoHash, err)
	}
	t.client.forget(t)
	close(t.ended)
}

// windDown is how the loop begins to end.
func (t *Torrent) windDown() {
	t.stopping = true
	for _, c := range t.conns {
		c.close(errStopped)
	}
}

// over reports whether all that the loop has begun is done.
func (t *Torrent) over() bool {
	return t.stopping && len(t.conns) == 0 && len(t.webConns) == 0 && t.dials == 0 && t.jobs == 0
}

// finish is the last that the loop does.
func (t *Torrent) finish() {
	t.publish()
	for _, late := range t.inbox.close() {
		if late.do != nil {
			late.do() // somebody waits for it, or it is a connection to be closed
		}
	}
	if content := t.content(); content != nil {
		content.assembly.Close()
	}
	t.share.leave(t.now)
	close(t.loopEnded)
}
