package cdn

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"
)

// none is an index that names nothing.
const none int32 = -1

// kind says what an event is; the comment says who it is for.
type kind uint8

const (
	evJoin      kind = iota + 1 // client: wants its content
	evLeave                     // client: has waited enough
	evConnect                   // client: looks for a server, perhaps not for the first time
	evConnected                 // client: its handshakes are done
	evAsked                     // request: is at the server
	evArrived                   // request: the response is there
	evRefused                   // request: the refusal is there
	evAgain                     // request: is made again
	evFail                      // fault: begins
	evMend                      // fault: ends
	evKnown                     // server: the CDN and balancers learn whether it is up
	evRouted                    // server: the network's routes follow whether it is up
	evChange                    // route change
	evSample
	evSent // request: its last byte left the server; from the network, not from the heap
)

// The streams that random numbers come from.
const (
	streamClient = iota + 1
	streamServer
	streamBalance
)

// run is a run of a Config. It is for one goroutine.
type run struct {
	Config
	seed uint64

	now    time.Duration
	net    *network
	events events
	seq    uint64
	log    transcript

	clients   []client
	users     map[int]*user
	servers   []server
	origins   []int32 // indexes in servers
	parents   []int32
	edges     []int32
	proxies   []int32
	proxiesAt [][]int32 // by ISP or region, see place
	requests  []request
	idle      []int32 // requests that can be used again

	balance   *rand.Rand
	turn      int // of round robin
	dns       names
	anycast   catchments
	lastMove  time.Duration // when something was last being sent, or nobody waited
	waiting   int           // clients that have joined, and are not done
	left      int           // clients that are neither done nor gone
	completed int
	sampler   sampler

	numPushed   int // slices
	interrupted bool

	browserBytes            int64
	retries, breaks, gaveUp int
}

// interrupted is the System.Reason of a run that Config.Progress ended.
const interrupted = "interrupted"

// progressEvery is the number of events between two calls of Config.Progress.
const progressEvery = 1 << 14

// loop delivers events until the run is over, and says why it is.
func (r *run) loop() (reason string) {
	for n := uint64(1); ; n++ {
		at, stop := r.nextTime()
		switch {
		case r.interrupted:
			return interrupted
		case r.left == 0:
			return "every client has finished or left"
		case stop != "":
			return stop
		case n > r.MaxEvents:
			return fmt.Sprintf("more than %d events", r.MaxEvents)
		case n%progressEvery == 0 && r.Progress != nil && !r.Progress(r.now, len(r.clients)-r.left, len(r.clients)):
			return interrupted
		}
		r.step(at)
	}
}

// nextTime is when the next event is. Those in the heap at this very instant
// come before the network computes new rates, so that it need not do it for
// each.
func (r *run) nextTime() (at time.Duration, stop string) {
	at = never
	if len(r.events) > 0 {
		at = r.events[0].at
	}
	if at > r.now {
		at = min(at, r.net.next())
	}
	if r.waiting == 0 || len(r.net.due) > 0 {
		r.lastMove = min(at, r.Limit)
	}
	switch {
	case at == never:
		return at, "nothing left to happen"
	case at > r.Limit:
		r.advance(r.Limit)
		return at, fmt.Sprintf("the time limit of %v was reached", r.Limit)
	case at-r.lastMove > r.Patience:
		return at, fmt.Sprintf("nothing was sent since %v", r.lastMove)
	}
	return at, ""
}

func (r *run) advance(at time.Duration) {
	r.now = at
	r.net.now = at
}

// step delivers what is next: parts that are through before events of the same
// instant.
func (r *run) step(at time.Duration) {
	r.advance(at)
	if _, p, ok := r.net.finished(); ok {
		r.log.add(at, evSent, p.tag, uint32(r.requests[p.tag].server), p.len)
		r.sent(p.tag)
		return
	}
	if len(r.events) == 0 || r.events[0].at > at {
		return
	}
	ev := r.events.pop()
	r.log.add(at, ev.kind, ev.who, ev.gen, 0)
	r.deliver(ev)
}

func (r *run) deliver(ev event) {
	switch ev.kind {
	case evJoin:
		r.join(ev.who)
	case evLeave:
		r.leave(ev.who)
	case evConnect, evConnected:
		if r.clients[ev.who].gen != ev.gen {
			return
		}
		if ev.kind == evConnect {
			r.connect(ev.who)
		} else {
			r.connected(ev.who)
		}
	case evAsked, evArrived, evRefused, evAgain:
		if r.requests[ev.who].gen == ev.gen {
			r.deliverRequest(ev)
		}
	case evFail:
		r.fail(ev.who)
	case evMend:
		r.mend(ev.who)
	case evKnown:
		s := &r.servers[ev.who]
		s.knownDown = s.down > 0
	case evRouted:
		s := &r.servers[ev.who]
		s.unrouted = s.down > 0
		r.reroute()
	case evChange:
		r.change(ev.who)
	case evSample:
		r.sample()
	}
}

func (r *run) deliverRequest(ev event) {
	switch ev.kind {
	case evAsked:
		r.asked(ev.who)
	case evArrived:
		r.arrived(ev.who)
	case evRefused:
		r.refused(ev.who)
	case evAgain:
		r.askAgain(ev.who)
	}
}

// at schedules an event.
func (r *run) at(t time.Duration, k kind, who int32, gen uint32) {
	r.seq++
	r.events.push(event{at: max(t, r.now), seq: r.seq, kind: k, who: who, gen: gen})
}

// after schedules an event of a client, which its gen can take back.
func (r *run) after(d time.Duration, k kind, client int32) {
	r.at(r.now+d, k, client, r.clients[client].gen)
}

// latency is the time from one region to another.
func (r *run) latency(a, b int) time.Duration {
	if r.Between == nil {
		return r.Latency
	}
	return r.Between[a][b]
}

// windowRate is the rate at which a window is sent in each round trip.
func windowRate(window int64, roundTrip time.Duration) uint64 {
	if window == 0 || roundTrip == 0 {
		return fastest
	}
	hi, lo := bits.Mul64(uint64(window), serviceOfByte)
	if hi >= uint64(roundTrip) {
		return fastest
	}
	rate, _ := bits.Div64(hi, lo, uint64(roundTrip))
	return max(1, min(rate, fastest))
}

// stream returns the beginning of a random stream that belongs to one client or
// server, so that one more does not shift the draws of the others.
func (r *run) stream(stream int, who int) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, uint64(stream)<<56^mix(uint64(who))))
}

// mix is a hash of 64 bits: the finalizer of SplitMix64 (Steele et al. 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
