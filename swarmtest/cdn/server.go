package cdn

import (
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// server is a Server in a run.
type server struct {
	*Server
	tier     Tier
	uplink   int32
	downlink int32
	cache    *cache // nil for origins
	random   *rand.Rand

	// down counts the faults that hold it down. knownDown is what the CDN and
	// balancers believe, unrouted what the network's routes do.
	down                int
	knownDown, unrouted bool

	// users are the clients that have chosen it and the fetches made of it.
	users     int
	clients   int      // of users
	queue     []waiter // requests that wait for their turn, from head on; some are stale
	head      int
	numQueued int
	serving   int
	hold      bool // see admit

	fetching map[sliceID]int32 // fetches that others can wait for

	stats              result.Server
	crossISP           int64 // of stats.In
	headsUp, headsDown int64
}

// lasting is the time of an outage that has not ended.
const lasting = -1

func (r *run) addServers(t Tier, all []Server) (ids []int32) {
	for i := range all {
		id := int32(len(r.servers))
		s := server{
			Server: &all[i], tier: t,
			uplink: r.net.addUplink(all[i].Up), downlink: private,
			stats:  r.newStats(t, &all[i]),
			random: r.stream(streamServer, int(id)),
		}
		if t != Origin {
			s.downlink = r.net.addDownlink(all[i].Down)
			s.cache = newCache(all[i].Cache)
			s.fetching = map[sliceID]int32{}
		}
		r.servers = append(r.servers, s)
		ids = append(ids, id)
	}
	return ids
}

// newStats says where a server is.
func (r *run) newStats(t Tier, s *Server) result.Server {
	stats := result.Server{Tier: string(t), Name: s.Name, Region: r.Regions[s.Region], UpRate: s.Up}
	if s.ISP != NoISP {
		stats.ISP = r.ISPs[s.ISP]
	}
	if r.SampleEvery == 0 {
		stats.Peak = -1
	}
	return stats
}

// took counts what a cache got from a server of the tier above.
func (r *run) took(cache, from int32, numBytes int64) {
	s := &r.servers[cache]
	s.stats.In += numBytes
	if s.ISP != r.servers[from].ISP {
		s.crossISP += numBytes
	}
}

// sliceLen is the length of a slice; the last one of a content may be shorter.
func (r *run) sliceLen(content, slice int32) int64 {
	return min(r.SliceLen, r.Contents[content].Len-int64(slice)*r.SliceLen)
}

// lookUp answers a request from the cache if that has the slice, or else sees
// that it is fetched.
func (r *run) lookUp(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.server]
	fresh, there := s.cache.get(q.id())
	if there && r.now < fresh {
		s.stats.Hits++
		q.hit = true
		r.respond(id)
		return
	}
	s.stats.Misses++
	q.waited = false
	r.miss(id, there)
}

// miss lets a request wait until the cache knows what to answer.
func (r *run) miss(id int32, stale bool) {
	q := &r.requests[id]
	s := &r.servers[q.server]
	if under, ok := s.fetching[q.id()]; ok {
		if !q.waited { // it may wait again, for what it waited for may be gone again
			q.waited = true
			s.stats.Coalesced++
		}
		r.wait(id, under)
		return
	}
	// What is there but stale needs only a question. So does what the asker has
	// already; the answer to that is for nobody else.
	shared := (stale || !q.conditional) && !s.Cache.NoCoalescing
	r.fetch(id, stale || q.conditional, shared)
}

// wait lets a request wait for a fetch.
func (r *run) wait(id, fetch int32) {
	f := &r.requests[fetch]
	f.waiters = append(f.waiters, waiter{id, r.requests[id].gen})
}

// fetch asks the tier above for the slice that a request wants.
func (r *run) fetch(id int32, conditional, shared bool) {
	q := r.requests[id]
	s := &r.servers[q.server]
	fetch := r.newRequest(request{
		client: none, cache: q.server, server: r.above(q.server, q.id(), 0),
		content: q.content, slice: q.slice, len: r.sliceLen(q.content, q.slice),
		conditional: conditional,
	})
	r.servers[r.requests[fetch].server].users++
	if !conditional {
		s.stats.Fetches++
	}
	if shared {
		s.fetching[q.id()] = fetch
	}
	r.wait(id, fetch)
	r.ask(fetch)
}

// fetched is when a cache has the answer of the tier above.
func (r *run) fetched(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.cache]
	switch {
	case q.conditional:
		if s.cache.renew(q.id(), r.now) {
			s.stats.Revalidated++
		}
	case s.cache.renew(q.id(), r.now):
		r.took(q.cache, q.server, q.len)
		s.stats.Wasted += q.len
	default:
		r.took(q.cache, q.server, q.len)
		s.cache.put(q.id(), q.len, r.now)
	}
	r.endFetch(id, func(waiting int32) {
		w := &r.requests[waiting]
		_, there := s.cache.slices[w.id()]
		if q := &r.requests[id]; q.conditional && !w.conditional && !there {
			// It was evicted while the question was under way.
			r.miss(waiting, false)
			return
		}
		r.respond(waiting)
	})
}

// fetchFailed is when a cache has been refused too often. It refuses those that
// wait.
func (r *run) fetchFailed(id int32) {
	r.endFetch(id, func(waiting int32) {
		server := r.requests[waiting].server
		r.servers[server].stats.Refused++
		r.refuse(waiting)
		r.release(server)
	})
}

// endFetch hands those that wait for a fetch to then, and drops it.
func (r *run) endFetch(id int32, then func(waiting int32)) {
	r.forget(id)
	for i := 0; i < len(r.requests[id].waiters); i++ {
		w := r.requests[id].waiters[i]
		if r.requests[w.request].gen == w.gen {
			then(w.request)
		}
	}
	r.drop(id)
}

// forget lets no more requests wait for a fetch.
func (r *run) forget(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.cache]
	if under, ok := s.fetching[q.id()]; ok && under == id {
		delete(s.fetching, q.id())
	}
	r.servers[q.server].users--
}

// abandon takes back a fetch of a cache that is no longer there to use it.
func (r *run) abandon(id int32) {
	r.forget(id)
	cache, from := r.requests[id].cache, r.requests[id].server
	got := r.cancel(id, 0)
	r.took(cache, from, got)
	r.servers[cache].stats.Wasted += got
}

// restart makes a fetch again whose server has failed. What came of it is lost:
// a cache keeps whole slices.
func (r *run) restart(id int32) {
	q := &r.requests[id]
	s := &r.servers[q.cache]
	switch q.state {
	case refusing, arriving:
		return // it will ask elsewhere anyway, or all of it is on its way
	case sending:
		_, got := r.net.close(q.flow)
		q.flow = none
		r.countOut(q, got)
		r.took(q.cache, q.server, got)
		s.stats.Wasted += got
	}
	if q.state == queued {
		r.servers[q.server].numQueued--
	}
	if q.state.served() {
		r.servers[q.server].serving--
	}
	q.gen++
	q.hit = false
	r.noAnswer(id)
}

// fail begins a fault.
func (r *run) fail(fault int32) {
	f := &r.Faults[fault]
	id := r.serverOf(f.Tier, f.Server)
	s := &r.servers[id]
	if s.down == 0 {
		s.stats.Outages = append(s.stats.Outages, result.Outage{At: r.now, For: lasting})
	}
	s.down++
	if f.For > 0 {
		r.at(r.now+f.For, evMend, fault, 0)
	}
	r.tell(id)
	for i := range r.requests {
		if q := &r.requests[i]; q.state != free && q.cache == id {
			r.abandon(int32(i))
		}
	}
	for i := range r.requests {
		if q := &r.requests[i]; q.state != free && q.server == id && q.cache != none {
			r.restart(int32(i))
		}
	}
	for i := range r.clients {
		if c := &r.clients[i]; c.server == id && c.phase == active {
			r.breakOff(int32(i), r.Timeout)
		}
	}
}

// mend ends a fault.
func (r *run) mend(fault int32) {
	f := &r.Faults[fault]
	id := r.serverOf(f.Tier, f.Server)
	s := &r.servers[id]
	s.down--
	if last := len(s.stats.Outages) - 1; s.down == 0 {
		s.stats.Outages[last].For = r.now - s.stats.Outages[last].At
	}
	r.tell(id)
}

// tell lets the others learn, each in its time, whether a server is up.
func (r *run) tell(id int32) {
	r.at(r.now+r.Routing.Detect, evKnown, id, 0)
	if r.Routing.Anycast && r.servers[id].tier == Edge {
		r.at(r.now+r.Routing.Convergence, evRouted, id, 0)
	}
}

func (r *run) serverOf(t Tier, index int) int32 {
	switch t {
	case Origin:
		return r.origins[index]
	case Parent:
		return r.parents[index]
	case Edge:
		return r.edges[index]
	}
	return r.proxies[index]
}

// occupied is how long a server's uplink has carried data.
func (r *run) occupied(id int32) time.Duration {
	return r.net.occupied(r.servers[id].uplink)
}
