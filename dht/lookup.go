package dht

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
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
// goroutine. A lookup before Ready starts from the saved or bootstrap nodes that
// are known by then; it waits for the first of these, whose names may have to be
// resolved.
//
// The end of ctx cancels the lookup, with its error; what found was given
// until then is good. The Server bounds how many lookups run at a time; more
// wait here.
func (s *Server) Lookup(ctx context.Context, req node.Request, found func(from netip.AddrPort, r node.Reply)) (node.Result, error) {
	if err := s.awaitStart(ctx); err != nil {
		return node.Result{}, fmt.Errorf("look up %v: %w", req.Target, err)
	}
	if err := s.lookupSlots.take(ctx, s.life); err != nil {
		return node.Result{}, fmt.Errorf("look up %v: %w", req.Target, err)
	}
	defer s.lookupSlots.free()
	w := &walker{news: make(chan struct{}, 1)}
	if s.do(func(now time.Duration) { s.loop.startLookup(now, w, &req) }) != nil {
		return node.Result{}, ErrClosed
	}
	result, err := w.follow(ctx, s.life, found)
	if err != nil {
		s.do(func(now time.Duration) { s.loop.cancelLookup(now, w) })
		return node.Result{}, fmt.Errorf("look up %v: %w", req.Target, err)
	}
	return *result, nil
}

// awaitStart waits until a lookup has somebody to ask.
func (s *Server) awaitStart(ctx context.Context) error {
	select {
	case <-s.told:
	case <-s.ready: // somebody has come to us
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return ErrClosed
	}
	return nil
}

// walker is a lookup on its way: the loop adds what is found, and the caller
// takes it when he likes. It holds at most one reply of each node asked.
type walker struct {
	id   node.LookupID // the loop's
	news chan struct{} // has an element if something was added

	mu      sync.Mutex
	replies []nodeReply
	result  *node.Result // not nil when the lookup is over
}

type nodeReply struct {
	from  netip.AddrPort
	reply *node.Reply
}

func (w *walker) reply(from netip.AddrPort, r *node.Reply) {
	w.mu.Lock()
	w.replies = append(w.replies, nodeReply{from, r})
	w.mu.Unlock()
	w.tell()
}

func (w *walker) finish(result *node.Result) {
	w.mu.Lock()
	w.result = result
	w.mu.Unlock()
	w.tell()
}

func (w *walker) tell() {
	select {
	case w.news <- struct{}{}:
	default: // there are news already that were not looked at
	}
}

// take returns what is new. Nothing comes after a result.
func (w *walker) take() ([]nodeReply, *node.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	replies := w.replies
	w.replies = nil
	return replies, w.result
}

// follow passes on what is found until the lookup is over.
func (w *walker) follow(ctx, life context.Context, found func(netip.AddrPort, node.Reply)) (*node.Result, error) {
	for {
		select {
		case <-w.news:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-life.Done():
			return nil, ErrClosed
		}
		replies, result := w.take()
		for _, each := range replies {
			if found != nil && ctx.Err() == nil {
				found(each.from, *each.reply)
			}
		}
		if result != nil {
			return result, nil
		}
	}
}

func (l *loop) startLookup(now time.Duration, w *walker, req *node.Request) {
	w.id = l.newID()
	l.lookups[w.id] = w
	l.receive(now, node.Input{Kind: node.InLookup, Lookup: w.id, Request: req})
}

func (l *loop) cancelLookup(now time.Duration, w *walker) {
	l.receive(now, node.Input{Kind: node.InCancel, Lookup: w.id})
	delete(l.lookups, w.id)
}

// Query sends one query to one node and waits for its answer, for about five
// seconds at most. Of q the method and its arguments count; transaction, id and
// version are the node's to fill in. The answer is the caller's to keep, and
// came after rtt. It fails with ErrSilent, with a *Refused, or with ctx's error.
func (s *Server) Query(ctx context.Context, addr netip.AddrPort, q krpc.Message) (answer *krpc.Message, rtt time.Duration, err error) {
	if err := s.querySlots.take(ctx, s.life); err != nil {
		return nil, 0, fmt.Errorf("ask %v: %w", addr, err)
	}
	defer s.querySlots.free()
	got, err := s.ask(ctx, addr, &q)
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("ask %v: %w", addr, err)
	case got.Message.Kind == krpc.Error:
		return nil, got.RTT, fmt.Errorf("ask %v: %w", addr, &Refused{got.Message.Code, string(got.Message.Text)})
	}
	return &got.Message, got.RTT, nil
}

func (s *Server) ask(ctx context.Context, addr netip.AddrPort, q *krpc.Message) (*node.Answer, error) {
	var id node.LookupID // the loop's
	answers := make(chan *node.Answer, 1)
	if err := s.do(func(now time.Duration) { id = s.loop.ask(now, answers, addr, q) }); err != nil {
		return nil, err
	}
	select {
	case answer := <-answers:
		if answer == nil {
			return nil, ErrSilent
		}
		return answer, nil
	case <-ctx.Done():
		s.do(func(now time.Duration) { s.loop.cancelQuery(now, id) })
		return nil, ctx.Err()
	case <-s.life.Done():
		return nil, ErrClosed
	}
}

func (l *loop) ask(now time.Duration, answers chan<- *node.Answer, addr netip.AddrPort, q *krpc.Message) node.LookupID {
	id := l.newID()
	l.queries[id] = answers
	l.receive(now, node.Input{Kind: node.InQuery, Lookup: id, Addr: addr, Query: q})
	return id
}

// answer passes on the answer to a query, nil if there was none.
func (l *loop) answer(id node.LookupID, a *node.Answer) {
	l.queries[id] <- a // has room for it
	delete(l.queries, id)
}

func (l *loop) cancelQuery(now time.Duration, id node.LookupID) {
	l.receive(now, node.Input{Kind: node.InCancel, Lookup: id})
	delete(l.queries, id)
}

// slots bound how many of something are under way at a time. The others wait
// in line.
type slots struct {
	taken   chan struct{}
	waiting *atomic.Int64
}

func newSlots(count int) slots { return slots{make(chan struct{}, count), new(atomic.Int64)} }

// take waits for a slot until one of the contexts ends.
func (s slots) take(ctx, life context.Context) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	switch {
	case life.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-life.Done():
		return ErrClosed
	}
}

func (s slots) free() { <-s.taken }
