package cdn

import (
	"math/rand/v2"
	"time"
)

// client is a Client in a run.
type client struct {
	*Client
	phase  phase
	gen    uint32 // of what it waits for: a connection, or the next try
	server int32  // the one that it has chosen, or none
	flow   int32
	avoid  int32 // the server that failed it last

	requests []int32 // under way
	asked    int64   // how far into the content it has asked
	again    []span  // what it must ask for again
	stale    bool    // its user's browser has the content, and must ask whether it is good

	answered                  bool
	firstByte, complete, left time.Duration
	fromServers, fromBrowser  int64
	crossISP                  int64 // of fromServers
	headsUp, headsDown        int64
	random                    *rand.Rand
}

// span is a range of a content.
type span struct{ begin, len int64 }

// phase is what a client does.
type phase uint8

const (
	outside    phase = iota // has not joined
	connecting              // looks for a server, or waits to do so again
	active                  // has a connection
	done                    // has the content
	gone                    // has left without it
)

// user is whose machine clients run on that have the same Client.User.
type user struct {
	down     int64 // of the first of them, bytes/s
	downlink int32
	has      map[int]time.Duration // contents in the browser's cache, and until when they are fresh
}

func (r *run) addClients(all []Client) {
	r.clients = make([]client, len(all))
	r.users = map[int]*user{}
	for i := range all {
		c := &all[i]
		r.clients[i] = client{Client: c, server: none, flow: none, avoid: none}
		if _, known := r.users[c.User]; c.User != 0 && !known {
			r.users[c.User] = &user{down: c.Down, downlink: r.net.addDownlink(c.Down), has: map[int]time.Duration{}}
		}
		r.at(c.Join, evJoin, int32(i), 0)
		if c.Leave > 0 {
			r.at(c.Leave, evLeave, int32(i), 0)
		}
	}
	r.left = len(all)
}

// key names a client's machine, whatever its place in the list.
func (c *client) key(i int32) int {
	if c.User != 0 {
		return -c.User
	}
	return int(i)
}

// down is the rate of a client's downlink, in bytes/s.
func (r *run) down(c *client) int64 {
	if c.User != 0 {
		return r.users[c.User].down
	}
	return c.Down
}

func (r *run) clientRandom(i int32) *rand.Rand {
	c := &r.clients[i]
	if c.random == nil {
		c.random = r.stream(streamClient, c.key(i))
	}
	return c.random
}

// join lets a client look for its content: first in the browser's cache.
func (r *run) join(i int32) {
	c := &r.clients[i]
	if c.phase != outside {
		return
	}
	r.waiting++
	c.phase = connecting
	if c.User != 0 {
		fresh, has := r.users[c.User].has[c.Content]
		if has && r.now < fresh {
			r.takeFromBrowser(i)
			return
		}
		c.stale = has
	}
	r.connect(i)
}

// takeFromBrowser completes a client with what its browser has.
func (r *run) takeFromBrowser(i int32) {
	c := &r.clients[i]
	c.fromBrowser = r.Contents[c.Content].Len
	r.browserBytes += c.fromBrowser
	r.complete(i)
}

// connect lets a client choose a server and shake hands with it.
func (r *run) connect(i int32) {
	c := &r.clients[i]
	server, wait := r.route(i)
	r.choose(c, server)
	roundTrip := 2 * r.latency(c.Region, r.servers[server].Region)
	r.after(wait+time.Duration(r.Handshakes)*roundTrip, evConnected, i)
}

// choose counts a client where it belongs. Balancers count a connection from
// its first packet on.
func (r *run) choose(c *client, server int32) {
	if c.server != none {
		r.servers[c.server].users--
		r.servers[c.server].clients--
	}
	c.server = server
	if server != none {
		s := &r.servers[server]
		s.users++
		s.clients++
		s.stats.MostConnections = max(s.stats.MostConnections, s.clients)
	}
}

// connected is when a client can ask, or finds that nobody answers.
func (r *run) connected(i int32) {
	c := &r.clients[i]
	s := &r.servers[c.server]
	if s.down > 0 {
		c.avoid = c.server
		r.after(r.Timeout, evConnect, i)
		return
	}
	c.phase = active
	roundTrip := 2 * r.latency(c.Region, s.Region)
	limit, downlink := windowRate(r.Window, roundTrip), int32(private)
	if c.User != 0 {
		downlink = r.users[c.User].downlink
	} else {
		limit = min(limit, rateOf(c.Down))
	}
	c.flow = r.net.open(s.uplink, downlink, limit)
	if c.stale {
		r.askClient(i, request{conditional: true})
		return
	}
	r.askMore(i)
}

// askMore keeps the pipeline of a client full.
func (r *run) askMore(i int32) {
	c := &r.clients[i]
	for len(c.requests) < r.Pipeline {
		part, more := r.nextSpan(c)
		if !more {
			return
		}
		r.askClient(i, request{slice: int32(part.begin / r.SliceLen), begin: part.begin, len: part.len})
	}
}

func (r *run) askClient(i int32, q request) {
	c := &r.clients[i]
	q.client, q.cache, q.server, q.content = i, none, c.server, int32(c.Content)
	id := r.newRequest(q)
	c.requests = append(c.requests, id)
	r.ask(id)
}

// nextSpan is what a client asks for next: at most to the end of a slice.
func (r *run) nextSpan(c *client) (part span, more bool) {
	if n := len(c.again); n > 0 {
		part = c.again[n-1]
		c.again = c.again[:n-1]
		return part, true
	}
	contentLen := r.Contents[c.Content].Len
	if c.asked == contentLen {
		return span{}, false
	}
	part = span{c.asked, min(r.SliceLen, contentLen-c.asked)}
	c.asked += part.len
	return part, true
}

// received is when a client has a response.
func (r *run) received(id int32) {
	q := &r.requests[id]
	i := q.client
	c := &r.clients[i]
	for at, other := range c.requests {
		if other == id {
			c.requests = append(c.requests[:at], c.requests[at+1:]...)
			break
		}
	}
	good := q.conditional
	r.got(c, q.server, q.len)
	r.drop(id)
	switch {
	case good:
		r.takeFromBrowser(i)
	case c.fromServers == r.Contents[c.Content].Len:
		r.complete(i)
	default:
		r.askMore(i)
	}
}

// got counts what a client got from a server.
func (r *run) got(c *client, from int32, numBytes int64) {
	c.fromServers += numBytes
	if c.ISP != r.servers[from].ISP {
		c.crossISP += numBytes
	}
}

// complete ends a client that has its content.
func (r *run) complete(i int32) {
	c := &r.clients[i]
	c.complete = r.now
	r.completed++
	r.end(i, done)
	if c.User == 0 || r.Browser.TTL == 0 {
		return
	}
	fresh := never
	if r.Browser.TTL > 0 {
		fresh = r.now + r.Browser.TTL
	}
	r.users[c.User].has[c.Content] = fresh
}

// leave ends a client that has not its content.
func (r *run) leave(i int32) {
	c := &r.clients[i]
	switch c.phase {
	case done, gone:
		return
	case outside:
		r.waiting++ // end takes it off again
	}
	c.left = max(r.now, 1) // 0 would say that it did not
	r.disconnect(i)
	r.end(i, gone)
}

func (r *run) end(i int32, p phase) {
	c := &r.clients[i]
	r.disconnect(i)
	r.choose(c, none)
	c.phase = p
	c.gen++
	r.left--
	r.waiting--
}

// disconnect closes a client's connection. What it has of a slice it keeps, and
// will ask for the rest.
func (r *run) disconnect(i int32) {
	c := &r.clients[i]
	if c.flow == none {
		return
	}
	tag, partly := r.net.close(c.flow)
	c.flow = none
	s := &r.servers[c.server]
	s.hold = true
	// The last one first, so that the first one will be asked for first.
	for at := len(c.requests) - 1; at >= 0; at-- {
		id := c.requests[at]
		q := r.requests[id]
		got := int64(0)
		if tag == id {
			got = partly
		}
		got = r.cancel(id, got)
		r.got(c, c.server, got)
		if rest := q.len - got; rest > 0 {
			c.again = append(c.again, span{q.begin + got, rest})
		}
	}
	c.requests = c.requests[:0]
	s.hold = false
	r.admit(c.server)
}

// breakOff breaks a client's connection. It notices that after a while.
func (r *run) breakOff(i int32, notices time.Duration) {
	c := &r.clients[i]
	r.breaks++
	r.disconnect(i)
	c.phase = connecting
	c.avoid = c.server
	if c.fromServers == r.Contents[c.Content].Len {
		r.complete(i) // the last of it was on its way
		return
	}
	r.after(notices, evConnect, i)
}
