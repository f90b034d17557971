package dht

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// ErrSilent is the error of a Query that was not answered.
var ErrSilent = errors.New("the node does not answer")

// Refused is the error of a Query that a node answered by an error.
type Refused struct {
	Code int    // of BEP 5 or 44
	Text string // the remote's words, as they came
}

// Error returns the code and the text, quoted: it is a stranger's.
func (r *Refused) Error() string {
	return fmt.Sprintf("the node answers with error %d: %q", r.Code, r.Text)
}

// Lookup walks to the nodes closest to req.Target, and waits for the end of
// the walk and of the storing that req may ask for. Each answer with something
// in it goes to found, which may be nil, as soon as it arrives, on the caller's
// goroutine. A lookup before Ready starts from the bootstrap nodes that are
// known by then, and may find nothing for want of them.
//
// The end of ctx cancels the lookup, with its error; what found was given
// until then is good. The Server bounds how many lookups run at a time; more
// wait here.
func (s *Server) Lookup(ctx context.Context, req node.Request, found func(from netip.AddrPort, r node.Reply)) (node.Result, error) {
	return node.Result{}, ErrClosed
}

// Query sends one query to one node and waits for its answer, for about five
// seconds at most. Of q the method and its arguments count; transaction, id and
// version are the node's to fill in. The answer is the caller's to keep, and
// came after rtt. It fails with ErrSilent, with a *Refused, or with ctx's error.
func (s *Server) Query(ctx context.Context, addr netip.AddrPort, q krpc.Message) (answer *krpc.Message, rtt time.Duration, err error) {
	return nil, 0, ErrClosed
}
