package lab

import (
	"context"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// several are four contents in all systems.
var several = []string{"content.count=4", "content.zipf=1", "demand.peers=24"}

func TestSeveralContentsInAllSystems(t *testing.T) {
	s := parse(t, small+everySystem, several...)
	clients := demand.Clients(s, 1)
	r := mustRun(t, s, Options{})
	for i := range r.Systems {
		sys := &r.Systems[i]
		last, all := lastCompletion(sys)
		if !all || sys.Bound == 0 || last < sys.Bound {
			t.Errorf("%s ended at %v, bound %v (%s), because %s", sys.Name, last, sys.Bound, sys.BoundName, sys.Reason)
		}
		next := 0
		for _, p := range sys.Peers {
			if p.Server {
				continue
			}
			if p.Content != clients[next].Content || p.Down-p.Wasted != s.Content.Length {
				t.Errorf("%s: client %d has %d bytes of content %d, and wants %d", sys.Name, next, p.Down-p.Wasted, p.Content, clients[next].Content)
			}
			next++
		}
		if next != len(clients) {
			t.Errorf("%s has %d clients", sys.Name, next)
		}
	}
}

func TestSeveralContentsOnAnyNumberOfWorkers(t *testing.T) {
	s := parse(t, small+"[[system]]\nkind = \"swarm\"\n[[system]]\nkind = \"hybrid\"\n", several...)
	alone := mustRun(t, s, Options{})
	side := mustRun(t, s, Options{Workers: 3})
	for i := range alone.Systems {
		if alone.Systems[i].EventLog != side.Systems[i].EventLog {
			t.Errorf("%s: other events on three workers", alone.Systems[i].Name)
		}
	}
}

// TestSeveralContentsShareThePublisher: riders get all from the seed, which must send each of four contents.
func TestSeveralContentsShareThePublisher(t *testing.T) {
	set := append([]string{"class.dsl.free_rider=true", "origin.up=400kbit/s"}, several...)
	r := mustRun(t, parse(t, small+"[[system]]\nkind = \"swarm\"\n", set...), Options{})
	sys := &r.Systems[0]
	last, _ := lastCompletion(sys)
	least := time.Duration(24 * (2 << 20) / 50_000 * float64(time.Second))
	if sys.Bound < least-time.Millisecond || sys.Bound > least+time.Second || last < sys.Bound || last > sys.Bound*11/10 {
		t.Errorf("24 copies through the seed's uplink took %v, the bound is %v, want %v", last, sys.Bound, least)
	}
	if sent := sys.Peers[0].Up; sent < 24*(2<<20) || sys.Sources[0].Bytes > sent {
		t.Errorf("the seed sent %d, of which %d came", sent, sys.Sources[0].Bytes)
	}
	for _, p := range sys.Peers[1:] {
		if p.FromServers != p.Down {
			t.Errorf("client %d got %d bytes from servers, of %d", p.Index, p.FromServers, p.Down)
		}
	}
}

// TestOriginsThatLeaveHaveSentAllContents holds origin.leave_after to copies of all contents.
func TestOriginsThatLeaveHaveSentAllContents(t *testing.T) {
	set := append([]string{"origin.leave_after=1.5", "limits.patience=1m", "class.dsl.free_rider=true"}, several...)
	s := parse(t, small+"[[system]]\nkind = \"swarm\"\n", set...)
	r, err := Run(context.Background(), s, 1, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seed := r.Systems[0].Peers[0]
	if want := s.Content.Length * 6; seed.Leave == 0 || seed.Up < want || seed.Up > want+(64<<10) {
		t.Errorf("the seed left at %v after %d bytes, want %d", seed.Leave, seed.Up, want)
	}
}

// TestTheBoundOfContentsIsTight: it is more than that of each content alone.
func TestTheBoundOfContentsIsTight(t *testing.T) {
	s := parse(t, small+"[[system]]\nkind = \"swarm\"\n", several...)
	r := &run{s: s, seed: 1, clients: demand.Clients(s, 1)}
	shared := r.swarmBound(&s.Systems[0])
	one := theory.Swarm(float64(s.Content.Length), float64(s.OriginUp()), []theory.Peer{{Up: 125_000, Down: 1_000_000}})
	if s.Systems[0].Kind != result.Swarm || shared.Seconds() < 4*one*0.99 {
		t.Errorf("the bound is %v, one content alone needs %v s", shared, one)
	}
}
