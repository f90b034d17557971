package cdn

import (
	"encoding/hex"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// Result is what happened in a run.
type Result struct {
	// System is the run as reports read it. Its Peers are the clients in their
	// order and then the servers: origins, parents, edges, proxies. A client's
	// FirstPiece is the first byte that it got of a server; when it has all, it
	// leaves. Its Sources are what each tier sent, so bytes that pass two tiers
	// are in two of them. Its Servers are in the order of their Peers. In Samples,
	// Seeds are the servers that are up, and UplinkUse is of what they could have
	// sent.
	System result.System
	// Retries is how often a client or a cache was refused, Breaks how often a
	// client's connection broke.
	Retries, Breaks int
	// GaveUp is how many clients had enough of being refused.
	GaveUp int
}

// Run runs the system to its end and says what happened. The error is a mistake
// in the Config; a run that gets nowhere is not an error, see System.Reason.
func (c Config) Run(seed uint64) (*Result, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	r := newRun(c, seed)
	reason := r.loop()
	r.finish()
	return r.result(reason), nil
}

func newRun(c Config, seed uint64) *run {
	r := &run{Config: c, seed: seed, net: newNetwork(), log: newTranscript()}
	r.balance = r.stream(streamBalance, 0)
	r.origins = r.addServers(Origin, r.Origins)
	r.parents = r.addServers(Parent, r.Parents)
	r.edges = r.addServers(Edge, r.Edges)
	r.proxies = r.addServers(Proxy, r.Proxies)
	r.assignProxies()
	if len(r.edges) > 0 {
		r.dns = names{
			answers: map[question]answer{},
			turn:    make([]int, len(r.Regions)), nearest: make([][]int32, len(r.Regions)),
		}
		r.anycast = r.newCatchments()
	}
	r.push()
	r.sampler = sampler{every: r.SampleEvery, sent: make([]int64, len(r.servers)), sentBefore: make([]int64, len(r.servers))}
	if r.SampleEvery > 0 {
		r.at(0, evSample, none, 0)
	}
	for i := range r.Faults {
		r.at(r.Faults[i].At, evFail, int32(i), 0)
	}
	if r.Routing.Anycast {
		for i, change := range r.Routing.Changes {
			r.at(change.At, evChange, int32(i), 0)
		}
	}
	r.addClients(r.Clients)
	return r
}

// finish takes back what is under way, so that every byte that was sent is also
// received.
func (r *run) finish() {
	if r.SampleEvery > 0 {
		r.lastSample()
	}
	for i := range r.servers {
		r.servers[i].down++ // so that nobody else has his turn
	}
	for i := range r.clients {
		r.disconnect(int32(i))
	}
	for i := range r.requests {
		if q := &r.requests[i]; q.state != free {
			r.abandon(int32(i))
		}
	}
}

func (r *run) result(reason string) *Result {
	sent := make([]int64, len(r.servers))
	r.net.sent(sent)
	res := &Result{
		System: result.System{
			Name: r.Name, Kind: r.Kind, Reason: reason, Completed: true, End: r.now,
			Events: r.log.events, EventLog: hex.EncodeToString(r.log.sum()),
			Samples: r.sampler.samples, Sources: r.sources(sent), Currency: r.Prices.Currency,
		},
		Retries: r.retries, Breaks: r.breaks, GaveUp: r.gaveUp,
	}
	res.System.Bound, res.System.BoundName = r.bound()
	for i := range r.clients {
		c := &r.clients[i]
		if c.phase != done && c.Leave == 0 {
			res.System.Completed = false
		}
		res.System.Peers = append(res.System.Peers, r.clientRow(i))
	}
	for i := range r.servers {
		s := r.server(i)
		res.System.Servers = append(res.System.Servers, s)
		res.System.Peers = append(res.System.Peers, r.serverRow(i, len(res.System.Peers)))
		res.System.Cost += s.Cost
	}
	for i := range res.System.Peers {
		res.System.CrossISP += res.System.Peers[i].CrossISP
	}
	return res
}

// server is what a server did, at the end.
func (r *run) server(i int) result.Server {
	s := &r.servers[i]
	s.stats.Occupied = r.occupied(int32(i))
	if s.cache != nil {
		s.stats.Evicted = s.cache.evicted
	}
	if n := len(s.stats.Outages); n > 0 && s.stats.Outages[n-1].For == lasting {
		s.stats.Outages[n-1].For = r.now - s.stats.Outages[n-1].At
	}
	s.stats.Cost = float64(float64(s.stats.Out) / 1e9 * r.price(s.tier))
	return s.stats
}

func (r *run) price(t Tier) float64 {
	switch t {
	case Origin:
		return r.Prices.Origin
	case Parent:
		return r.Prices.Parent
	case Edge:
		return r.Prices.Edge
	}
	return r.Prices.Proxy
}

func (r *run) clientRow(i int) result.Peer {
	c := &r.clients[i]
	class := c.Class
	or(&class, "client")
	return result.Peer{
		Index: i, Class: class, Region: r.Regions[c.Region], ISP: r.ISPs[c.ISP], Content: c.Content,
		Join: c.Join, FirstPiece: c.firstByte, Complete: c.complete, Leave: max(c.left, c.complete),
		Down: c.fromServers, CrossISP: c.crossISP, MessagesUp: c.headsUp, MessagesDown: c.headsDown, UpRate: c.Up, DownRate: r.down(c),
	}
}

func (r *run) serverRow(i, index int) result.Peer {
	s := &r.servers[i]
	return result.Peer{
		Index: index, Class: string(s.tier), Region: s.stats.Region, ISP: s.stats.ISP, Server: true,
		Up: s.stats.Out, Down: s.stats.In, Wasted: s.stats.Wasted, CrossISP: s.crossISP,
		MessagesUp: s.headsUp, MessagesDown: s.headsDown,
		Occupied: s.stats.Occupied, UpRate: s.Up, DownRate: s.Down,
	}
}
