package cdn

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// crowd is n clients like c, fleet n servers like s.
func crowd(n int, c Client) []Client {
	all := make([]Client, n)
	for i := range all {
		all[i] = c
	}
	return all
}

func fleet(n int, s Server) []Server {
	all := make([]Server, n)
	for i := range all {
		all[i] = s
	}
	return all
}

const mib = 1 << 20

// mustRun runs a system whose clients must all complete, and checks what holds
// for every run.
func mustRun(t *testing.T, c Config, seed uint64) *Result {
	t.Helper()
	res, err := c.Run(seed)
	if err != nil {
		t.Fatal(err)
	}
	if !res.System.Completed {
		t.Fatalf("not completed: %s", res.System.Reason)
	}
	checkResult(t, &c, res)
	return res
}

// last is when the last client completed.
func last(res *Result) (at time.Duration) {
	for _, p := range res.System.Peers {
		at = max(at, p.Complete)
	}
	return at
}

func source(t *testing.T, res *Result, name string) int64 {
	t.Helper()
	for _, s := range res.System.Sources {
		if s.Name == name {
			return s.Bytes
		}
	}
	t.Fatalf("no source %q in %v", name, res.System.Sources)
	return 0
}

// tierSum adds up the figures of a tier.
func tierSum(res *Result, tier Tier) (sum result.Server) {
	for _, s := range res.System.Servers {
		if s.Tier != string(tier) {
			continue
		}
		sum.Requests += s.Requests
		sum.Refused += s.Refused
		sum.Hits += s.Hits
		sum.Misses += s.Misses
		sum.Coalesced += s.Coalesced
		sum.Revalidated += s.Revalidated
		sum.Fetches += s.Fetches
		sum.Evicted += s.Evicted
		sum.In += s.In
		sum.Out += s.Out
		sum.HitOut += s.HitOut
		sum.Wasted += s.Wasted
	}
	return sum
}

// checkResult holds what every run must hold, whatever its Config: bytes are
// conserved from tier to tier, time goes on, and no download beats the bound.
func checkResult(t testing.TB, c *Config, res *Result) {
	t.Helper()
	sys := &res.System
	clients := int64(0)
	for i, p := range sys.Peers[:len(c.Clients)] {
		clients += p.Down
		if p.Complete > 0 && (p.Complete < p.Join || p.Complete > max(sys.End, 1)) {
			t.Errorf("client %d: joined at %v, complete at %v, the end was %v", i, p.Join, p.Complete, sys.End)
		}
		if p.Complete > 0 && p.Down > 0 && p.Down != c.Contents[p.Content].Len {
			t.Errorf("client %d: complete with %d bytes of %d", i, p.Down, c.Contents[p.Content].Len)
		}
		if least := leastTime(c, i); p.Down > 0 && p.Complete > 0 && p.Complete-p.Join < least {
			t.Errorf("client %d: %v is less than its downlink needs, %v", i, p.Complete-p.Join, least)
		}
	}
	in, out := clients, int64(0)
	for i, s := range res.System.Servers {
		in += s.In
		out += s.Out
		if s.HitOut > s.Out || s.Wasted > s.In || s.Coalesced > s.Misses {
			t.Errorf("server %d: %+v: a part is more than the whole", i, s)
		}
		if up := sys.Peers[len(c.Clients)+i].UpRate; up > 0 && !anyPush(c) {
			if most := float64(up)*sys.End.Seconds() + 1; float64(s.Out) > most {
				t.Errorf("server %d sent %d bytes, more than %.0f", i, s.Out, most)
			}
		}
	}
	checkServers(t, sys)
	if in != out {
		t.Errorf("servers sent %d bytes, of which %d were received", out, in)
	}
	checkSamples(t, sys)
	if sys.Bound > 0 && last(res) < sys.Bound {
		t.Errorf("the last completion, %v, beats the bound, %v", last(res), sys.Bound)
	}
}

// checkServers checks what the rows of servers say beside bytes.
func checkServers(t testing.TB, sys *result.System) {
	t.Helper()
	cross := int64(0)
	for _, p := range sys.Peers {
		cross += p.CrossISP
		if p.CrossISP < 0 || p.CrossISP > p.Down {
			t.Errorf("%d bytes of %d are from another ISP", p.CrossISP, p.Down)
		}
	}
	if cross != sys.CrossISP {
		t.Errorf("%d bytes came from other ISPs, by the rows %d", sys.CrossISP, cross)
	}
	for _, s := range sys.Servers {
		if use, ok := s.Use(sys.End); ok && (use < 0 || use > 1+1e-9) {
			t.Errorf("%s used %v of its uplink", s.Name, use)
		}
		if s.UpRate > 0 && s.Peak > float64(s.UpRate)*1.001+1e6 { // of some hundred flows whose bytes are rounded down, in a millisecond
			t.Errorf("%s sent %v bytes/s at its peak, and has %d", s.Name, s.Peak, s.UpRate)
		}
		until := -time.Duration(1)
		for _, o := range s.Outages {
			if o.At <= until || o.For < 0 || o.At+o.For > sys.End {
				t.Errorf("%s was down at %v for %v, before until %v; the end was %v", s.Name, o.At, o.For, until, sys.End)
			}
			until = o.At + o.For
		}
	}
}

func anyPush(c *Config) bool {
	for _, tier := range [][]Server{c.Parents, c.Edges, c.Proxies} {
		for _, s := range tier {
			if s.Cache.Push {
				return true
			}
		}
	}
	return false
}

// leastTime is what a client's downlink needs for its content.
func leastTime(c *Config, i int) time.Duration {
	cl := &c.Clients[i]
	if cl.Down == 0 || cl.User != 0 {
		return 0
	}
	return time.Duration(float64(c.Contents[cl.Content].Len)/float64(cl.Down)*1e9) - 1
}

func checkSamples(t testing.TB, sys *result.System) {
	t.Helper()
	for i, s := range sys.Samples {
		if len(s.Bytes) != len(sys.Sources) {
			t.Fatalf("sample %d has %d sources, expected %d", i, len(s.Bytes), len(sys.Sources))
		}
		if i == 0 {
			continue
		}
		before := sys.Samples[i-1]
		if s.At <= before.At || s.Completed < before.Completed || s.Gone < before.Gone {
			t.Errorf("sample %d goes back: %+v after %+v", i, s, before)
		}
		for j := range s.Bytes {
			if s.Bytes[j] < before.Bytes[j] {
				t.Errorf("sample %d: source %d sent %d bytes after %d", i, j, s.Bytes[j], before.Bytes[j])
			}
		}
	}
	if n := len(sys.Samples); n > 0 {
		for j, s := range sys.Sources {
			if sys.Samples[n-1].Bytes[j] != s.Bytes {
				t.Errorf("the last sample has %d bytes of %s, the result %d", sys.Samples[n-1].Bytes[j], s.Name, s.Bytes)
			}
		}
	}
}
