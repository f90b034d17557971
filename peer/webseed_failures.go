package peer

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
)

// WebSeedFailure is that a web seed could not be asked, or that its answer is of no use.
type WebSeedFailure struct {
	URL     string // without a password, and remote text that is unsafe to print raw, as the reason is
	Reason  string
	GivenUp bool // it is not asked again
}

// webSeedFailures are those of a torrent that differ, in the order in which they came. A server
// could give another reason each time, and a torrent can name any number of servers: those
// beyond maxWebSeedFailures are dropped.
type webSeedFailures struct {
	mu   sync.Mutex
	list []WebSeedFailure
}

func (f *webSeedFailures) add(failure WebSeedFailure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) < maxWebSeedFailures && !slices.Contains(f.list, failure) {
		f.list = append(f.list, failure)
	}
}

// WebSeedFailures returns what went wrong with web seeds so far, each of a web seed once however often
// it happens, and in the order in which it came. There are 16 at most; later ones are not kept.
func (t *Torrent) WebSeedFailures() []WebSeedFailure {
	t.webFailures.mu.Lock()
	defer t.webFailures.mu.Unlock()
	return slices.Clone(t.webFailures.list)
}

// noteFailure keeps a failure for WebSeedFailures, unless the web seed is not to blame.
func (t *Torrent) noteFailure(w *webSeed, err error, again bool) {
	if !errors.Is(err, errNotNeeded) {
		t.webFailures.add(WebSeedFailure{URL: w.url.Redacted(), Reason: reasonOf(err), GivenUp: !again})
	}
}

// reasonOf leaves out of an error the URL, and the addresses: ports of ours differ each time.
func reasonOf(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}
