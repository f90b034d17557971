package cdn

import (
	"math/rand/v2"
	"slices"
	"time"
)

// request is what a client asks a server for, or a cache the tier above.
type request struct {
	gen uint32 // of the requests that had this place

	client     int32 // who asks, or none
	cache      int32 // the server that asks, or none
	server     int32 // who is asked
	content    int32
	slice      int32
	begin, len int64 // what a client wants of the content; begin is none of a fetch's
	// conditional asks only whether what the asker has is still good.
	conditional bool

	state    state
	hit      bool
	waited   bool  // for a fetch of another request; it counts as coalesced
	flow     int32 // of a fetch, or none
	attempts int

	waiters []waiter // for this fetch
}

type waiter struct {
	request int32
	gen     uint32
}

// state is where a request is.
type state uint8

const (
	free     state = iota
	asking         // on its way to the server
	queued         // waits at the server for its turn
	fetching       // waits there for the tier above
	sending        // is being answered
	arriving       // all of the answer has left the server
	refusing       // the refusal is on its way, or the asker waits to ask again
)

// served says that a request takes one of those that its server serves at once.
func (s state) served() bool { return s == fetching || s == sending }

func (r *run) newRequest(q request) int32 {
	q.flow = none
	if n := len(r.idle); n > 0 {
		id := r.idle[n-1]
		r.idle = r.idle[:n-1]
		old := &r.requests[id]
		q.gen, q.waiters = old.gen, old.waiters[:0]
		*old = q
		return id
	}
	r.requests = append(r.requests, q)
	return int32(len(r.requests) - 1)
}

// drop ends a request; events that name it no longer find it.
func (r *run) drop(id int32) {
	q := &r.requests[id]
	q.gen++
	q.state = free
	r.idle = append(r.idle, id)
}

func (q *request) id() sliceID { return idOf(q.content, q.slice) }

// askerRegion is where the asker is.
func (r *run) askerRegion(q *request) int {
	if q.client != none {
		return r.clients[q.client].Region
	}
	return r.servers[q.cache].Region
}

// later schedules an event of a request, after the latency between asker and
// server.
func (r *run) later(id int32, k kind) {
	q := &r.requests[id]
	r.at(r.now+r.latency(r.askerRegion(q), r.servers[q.server].Region), k, id, q.gen)
}

// ask sends a request on its way.
func (r *run) ask(id int32) {
	q := &r.requests[id]
	q.state = asking
	if q.client != none {
		r.clients[q.client].headsUp += r.HeadLen
	} else {
		r.servers[q.cache].headsUp += r.HeadLen
	}
	r.later(id, evAsked)
}

// asked is when a request is at its server.
func (r *run) asked(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.server]
	s.headsDown += r.HeadLen
	if s.down > 0 {
		r.noAnswer(id)
		return
	}
	s.stats.Requests++
	switch {
	case s.MaxRequests == 0 || s.serving < s.MaxRequests:
		r.serve(id)
	case s.Queue == 0 || s.numQueued < s.Queue:
		q.state = queued
		s.queue = append(s.queue, waiter{id, q.gen})
		s.numQueued++
		s.stats.MostQueued = max(s.stats.MostQueued, s.numQueued)
	default:
		s.stats.Refused++
		r.refuse(id)
	}
}

// noAnswer is for a request to a server that is down. Clients are told of it
// when it fails, so it is a fetch.
func (r *run) noAnswer(id int32) {
	q := &r.requests[id]
	q.state = refusing
	q.attempts++
	r.at(r.now+r.Timeout, evAgain, id, q.gen)
}

// refuse answers with 503.
func (r *run) refuse(id int32) {
	q := &r.requests[id]
	q.state = refusing
	r.servers[q.server].headsUp += r.HeadLen
	r.later(id, evRefused)
}

// refused is when an asker hears that it was. It asks again later, or has had
// enough.
func (r *run) refused(id int32) {
	q := &r.requests[id]
	q.attempts++
	r.retries++
	if r.Retry.Attempts > 0 && q.attempts >= r.Retry.Attempts {
		if q.client != none {
			r.gaveUp++
			r.leave(q.client)
		} else {
			r.fetchFailed(id)
		}
		return
	}
	r.at(r.now+r.backOff(q), evAgain, id, q.gen)
}

// backOff draws how long an asker waits: up to a time that doubles with each
// attempt, so that those who were refused together do not come together again.
func (r *run) backOff(q *request) time.Duration {
	most := r.Retry.Most
	if doublings := q.attempts - 1; doublings < 40 {
		if d := r.Retry.First << doublings; d>>doublings == r.Retry.First {
			most = min(most, d)
		}
	}
	var random *rand.Rand
	if q.client != none {
		random = r.clientRandom(q.client)
	} else {
		random = r.servers[q.cache].random
	}
	return most/2 + time.Duration(random.Int64N(int64(most/2)+1))
}

// askAgain makes a request again; a fetch perhaps elsewhere.
func (r *run) askAgain(id int32) {
	q := &r.requests[id]
	if q.client == none {
		r.servers[q.server].users--
		q.server = r.above(q.cache, q.id(), q.attempts)
		r.servers[q.server].users++
	}
	r.ask(id)
}

// serve answers a request, or begins to.
func (r *run) serve(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.server]
	s.serving++
	q.state = fetching
	if s.cache == nil {
		r.respond(id)
		return
	}
	r.lookUp(id)
}

// respond sends what was asked for, or only a head that says that it is still
// good.
func (r *run) respond(id int32) {
	q := &r.requests[id]
	q.state = sending
	r.servers[q.server].headsUp += r.HeadLen
	if q.conditional {
		r.sent(id)
		return
	}
	if q.client == none {
		q.flow = r.net.open(r.servers[q.server].uplink, r.servers[q.cache].downlink, fastest)
		r.net.send(q.flow, part{len: q.len, tag: id})
		return
	}
	c := &r.clients[q.client]
	if !c.answered {
		c.answered = true
		c.firstByte = r.now + r.latency(c.Region, r.servers[q.server].Region)
	}
	r.net.send(c.flow, part{len: q.len, tag: id})
}

// sent is when the last byte of a response left the server.
func (r *run) sent(id int32) {
	q := &r.requests[id]
	if !q.conditional {
		r.countOut(q, q.len)
	}
	if q.flow != none {
		r.net.close(q.flow)
		q.flow = none
	}
	server := q.server
	q.state = arriving
	r.later(id, evArrived)
	r.release(server)
}

func (r *run) countOut(q *request, numBytes int64) {
	stats := &r.servers[q.server].stats
	stats.Out += numBytes
	if q.hit {
		stats.HitOut += numBytes
	}
}

// release takes a request off those that a server serves.
func (r *run) release(server int32) {
	r.servers[server].serving--
	r.admit(server)
}

// admit serves those that wait in the queue as far as there is room. A server
// that holds is not ready for that: it is being admitted to already, or the
// requests of a connection are being taken back, one by one.
func (r *run) admit(server int32) {
	s := &r.servers[server]
	if s.hold || s.down > 0 {
		return
	}
	s.hold = true
	for s.numQueued > 0 && s.serving < s.MaxRequests {
		w := s.queue[s.head]
		s.head++
		if s.head > len(s.queue)/2 {
			s.queue = slices.Delete(s.queue, 0, s.head)
			s.head = 0
		}
		if r.requests[w.request].gen == w.gen {
			s.numQueued--
			r.serve(w.request)
		}
	}
	s.hold = false
}

// arrived is when all of a response is with who asked for it.
func (r *run) arrived(id int32) {
	q := &r.requests[id]
	if q.client != none {
		r.clients[q.client].headsDown += r.HeadLen
		r.received(id)
		return
	}
	r.servers[q.cache].headsDown += r.HeadLen
	r.fetched(id)
}

// cancel takes a request back, wherever it is, and returns how much of its
// answer had been sent: of one that is being answered on a client's flow, that
// is partly.
func (r *run) cancel(id int32, partly int64) (sent int64) {
	q := &r.requests[id]
	server, was := q.server, q.state
	switch was {
	case queued:
		r.servers[server].numQueued--
	case sending:
		if q.flow != none {
			_, partly = r.net.close(q.flow)
		}
		sent = partly
		r.countOut(q, sent)
	case arriving:
		if !q.conditional {
			sent = q.len
		}
	}
	r.drop(id)
	if was.served() {
		r.release(server)
	}
	return sent
}
