package cdn

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

func origin(clients []Client, servers ...Server) Config {
	return Config{Kind: result.Origin, Contents: []Content{{100 * mib}}, Clients: clients, Origins: servers}
}

// The origin alone needs N F/u_s, so its time grows linearly with the crowd.
func TestOriginTakesItsClosedForm(t *testing.T) {
	for _, n := range []int{10, 100, 1000} {
		c := origin(crowd(n, Client{Down: 50 * mib}), Server{Up: 10 * mib})
		res := mustRun(t, c, 1)
		want := float64(n) * 100 * mib / (10 * mib)
		if got := last(res).Seconds(); got < want || got > 1.01*want {
			t.Errorf("%d clients took %.3f s, want %.0f s within 1 %%", n, got, want)
		}
		if sum := source(t, res, "origin"); sum != int64(n)*100*mib {
			t.Errorf("the origin sent %d bytes to %d clients", sum, n)
		}
	}
}

// The textbook population of Kumar and Ross, in its client-server row.
func TestOriginOfTheTextbook(t *testing.T) {
	const mbit = 1_000_000 / 8
	for _, n := range []int{10, 100, 1000} {
		c := Config{
			Kind: result.Origin, Contents: []Content{{15_000 * mbit}}, Clients: crowd(n, Client{Down: 2 * mbit}),
			Origins: []Server{{Up: 30 * mbit}}, Limit: 1000 * time.Hour,
		}
		peers := make([]theory.Peer, n)
		for i := range peers {
			peers[i].Down = 2
		}
		want := theory.ClientServer(15_000, 30, peers)
		if got := last(mustRun(t, c, 1)).Seconds(); got < want || got > 1.0001*want {
			t.Errorf("%d clients took %.3f s, want %.0f s", n, got, want)
		}
	}
}

// Of two downloads that share an uplink fairly, the short one ends after twice
// its time alone, and the long one when all is sent.
func TestSharingByHand(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{1000}, {3000}}, Clients: []Client{{Content: 0}, {Content: 1}},
		Origins: []Server{{Up: 1000}}, Latency: -1,
	}
	res := mustRun(t, c, 1)
	for i, want := range []time.Duration{2 * time.Second, 4 * time.Second} {
		if got := res.System.Peers[i].Complete; got != want {
			t.Errorf("client %d completed at %v, want %v", i, got, want)
		}
	}
}

// One client alone: handshakes, the request, the data and its way.
func TestTimeOfOneClientByHand(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{1000}}, Clients: []Client{{Down: 1000, Join: time.Second}},
		Origins: []Server{{Up: 5000}}, Latency: 10 * time.Millisecond, Handshakes: 3,
	}
	p := mustRun(t, c, 1).System.Peers[0]
	if want := time.Second + (3*20+20)*time.Millisecond; p.FirstPiece != want {
		t.Errorf("first byte at %v, want %v", p.FirstPiece, want)
	}
	if want := time.Second + (3*20+20)*time.Millisecond + time.Second; p.Complete != want {
		t.Errorf("complete at %v, want %v", p.Complete, want)
	}
}

// A window of 100 kB in each round trip of 100 ms is 1 MB/s, whatever the links
// are.
func TestWindowCapsLongWays(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{5_000_000}}, Clients: []Client{{}},
		Origins: []Server{{}}, Latency: 50 * time.Millisecond, Window: 100_000, Handshakes: -1,
	}
	if got, want := last(mustRun(t, c, 1)), 5*time.Second+100*time.Millisecond; got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

// With ten at once and a queue, the clients come in tens, each at the full
// rate; the last one is no later than without the limit.
func TestRequestLimitQueues(t *testing.T) {
	c := origin(crowd(100, Client{}), Server{Up: 10 * mib, MaxRequests: 10})
	res := mustRun(t, c, 1)
	if s := res.System.Servers[0]; s.MostQueued != 90 || s.Refused != 0 {
		t.Errorf("%d waited at most and %d were refused, want 90 and none", s.MostQueued, s.Refused)
	}
	if got := res.System.Peers[0].Complete.Seconds(); math.Abs(got-100) > 1 {
		t.Errorf("the first ten took %.1f s, want 100 s", got)
	}
	if got := last(res).Seconds(); math.Abs(got-1000) > 1 {
		t.Errorf("the last took %.1f s, want 1000 s", got)
	}
}

// Without a queue those who are turned away try again, and lose the time in
// which the server waits for them.
func TestRequestLimitRefuses(t *testing.T) {
	c := origin(crowd(100, Client{}), Server{Up: 10 * mib, MaxRequests: 10, Queue: -1})
	res := mustRun(t, c, 1)
	if s := res.System.Servers[0]; s.Refused < 90 || s.MostQueued != 0 || int(s.Refused) != res.Retries {
		t.Errorf("%d were refused and %d tried again, at most %d waited", s.Refused, res.Retries, s.MostQueued)
	}
	if got := last(res).Seconds(); got < 1000 || got > 1300 {
		t.Errorf("the last took %.1f s, want a little more than 1000 s", got)
	}
}

// The time to wait doubles from the first to the most, and half of it is
// random.
func TestBackOff(t *testing.T) {
	c, err := origin(crowd(1, Client{}), Server{}).resolve()
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(c, 1)
	for attempts, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 8: 60, 40: 60, 100: 60} {
		least, most := time.Hour, time.Duration(0)
		for range 1000 {
			d := r.backOff(&request{attempts: attempts, cache: none})
			least, most = min(least, d), max(most, d)
		}
		want *= time.Second
		if least < want/2 || least > want*51/100 || most > want || most < want*99/100 {
			t.Errorf("attempt %d waits %v to %v, want %v to %v", attempts, least, most, want/2, want)
		}
	}
}

func TestClientsGiveUp(t *testing.T) {
	c := origin(crowd(100, Client{}), Server{Up: mib, MaxRequests: 10, Queue: -1})
	c.Retry.Attempts = 3
	res, err := c.Run(1)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, &c, res)
	if res.GaveUp != 90 || res.System.Completed || res.System.Reason != "every client has finished or left" {
		t.Errorf("%d gave up, want 90; completed: %v, %s", res.GaveUp, res.System.Completed, res.System.Reason)
	}
}

// Clients that leave take nothing of the uplink any more, and what they got is
// counted.
func TestClientsLeave(t *testing.T) {
	clients := crowd(2, Client{})
	clients[1].Leave = 4 * time.Second
	c := Config{Kind: result.Origin, Contents: []Content{{10_000}}, Clients: clients, Origins: []Server{{Up: 1000}}, Latency: -1}
	res := mustRun(t, c, 1)
	if p := res.System.Peers[1]; p.Complete != 0 || p.Leave != 4*time.Second || p.Down != 2000 {
		t.Errorf("left with %d bytes at %v, want 2000 at 4s", p.Down, p.Leave)
	}
	if got := res.System.Peers[0].Complete; got != 12*time.Second {
		t.Errorf("the other took %v, want 12s", got)
	}
}

// An origin that is away for a minute costs about a minute, and clients go on
// where they were: nothing is sent twice.
func TestOriginOutage(t *testing.T) {
	c := origin(crowd(10, Client{}), Server{Up: 10 * mib})
	c.Faults = []Fault{{Tier: Origin, At: 30 * time.Second, For: time.Minute}}
	res := mustRun(t, c, 1)
	if got := last(res).Seconds(); got < 160 || got > 164 {
		t.Errorf("took %.1f s, want 100 s, 60 s of outage and at most 4 s until it is noticed", got)
	}
	if sum := source(t, res, "origin"); sum != 1000*mib {
		t.Errorf("%d bytes were sent, want each once", sum)
	}
	if res.Breaks != 10 {
		t.Errorf("%d connections broke, want 10", res.Breaks)
	}
}

func TestOriginGoneForEver(t *testing.T) {
	c := origin(crowd(10, Client{}), Server{Up: 10 * mib})
	c.Faults = []Fault{{Tier: Origin, At: 30 * time.Second}}
	res, err := c.Run(1)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, &c, res)
	if res.System.Completed || !strings.HasPrefix(res.System.Reason, "nothing was sent since 30") {
		t.Errorf("ended because %s", res.System.Reason)
	}
	if end := res.System.End; end > 30*time.Second+DefaultPatience {
		t.Errorf("ended at %v, want an hour after the fault", end)
	}
}

func TestLimitsEndARun(t *testing.T) {
	c := origin(crowd(10, Client{}), Server{Up: 10 * mib})
	c.Limit = 20 * time.Second
	c.SampleEvery = 700 * time.Millisecond
	res, err := c.Run(1)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, &c, res)
	if res.System.End != 20*time.Second || !strings.Contains(res.System.Reason, "time limit") {
		t.Errorf("ended at %v because %s", res.System.End, res.System.Reason)
	}
	if sent := source(t, res, "origin"); sent < 198*mib || sent > 200*mib {
		t.Errorf("%d bytes were sent in 20 s, want nearly 200 MiB", sent)
	}
	c.Limit, c.MaxEvents = 0, 5
	if res, err = c.Run(1); err != nil || !strings.Contains(res.System.Reason, "events") {
		t.Errorf("ended because %s (%v), want the number of events", res.System.Reason, err)
	}
}

// A long download without events is no standstill, and neither is a long time
// in which nobody wants anything.
func TestPatienceKnowsWaitingFromStandstill(t *testing.T) {
	c := origin([]Client{{}, {Join: 100 * time.Hour}}, Server{Up: 4000})
	c.Patience = time.Minute
	mustRun(t, c, 1)
}

// Two downloads of one user share the downlink, those of two users do not.
func TestDownloadsOfAUserShareADownlink(t *testing.T) {
	for _, tt := range []struct {
		users [2]int
		want  time.Duration
	}{{[2]int{1, 1}, 20 * time.Second}, {[2]int{1, 2}, 10 * time.Second}} {
		c := Config{
			Kind: result.Replicas, Contents: []Content{{1000}}, Latency: -1, Origins: fleet(2, Server{}),
			Clients: []Client{{Down: 100, User: tt.users[0]}, {Down: 100, User: tt.users[1]}},
		}
		if got := last(mustRun(t, c, 1)); got != tt.want {
			t.Errorf("users %v took %v, want %v", tt.users, got, tt.want)
		}
	}
}

// A sample shows the bytes that are sent so far, also of requests that are
// under way.
func TestSamplesAreOfTheMoment(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{10_000}}, Clients: []Client{{}}, Latency: -1,
		Origins: []Server{{Up: 1000}}, SampleEvery: time.Second, Handshakes: -1,
	}
	samples := mustRun(t, c, 1).System.Samples
	if len(samples) != 11 {
		t.Fatalf("%d samples, want 11", len(samples))
	}
	for i, s := range samples {
		if s.At != time.Duration(i)*time.Second || s.Bytes[0] != int64(i)*1000 {
			t.Errorf("sample %d: %d bytes at %v", i, s.Bytes[0], s.At)
		}
		if i > 0 && s.UplinkUse < 0.999 {
			t.Errorf("sample %d: the uplink is used to %v, want 1", i, s.UplinkUse)
		}
	}
	if s := samples[10]; s.Completed != 1 || s.Gone != 1 || s.Leechers != 0 {
		t.Errorf("the last sample is %+v", s)
	}
}

// Of a long run with short steps every other sample goes, so that the steps
// stay even.
func TestSamplesAreBounded(t *testing.T) {
	c := origin(crowd(1, Client{}), Server{Up: 1000})
	c.SampleEvery = time.Millisecond
	res := mustRun(t, c, 1)
	samples := res.System.Samples
	n := len(samples)
	if n < maxSamples/4 || n > maxSamples {
		t.Errorf("%d samples, want at most %d", n, maxSamples)
	}
	step := samples[1].At
	for i, s := range samples[:n-1] {
		if s.At != time.Duration(i)*step {
			t.Fatalf("sample %d is at %v, want steps of %v", i, s.At, step)
		}
	}
}

// An uplink that sends half of what it could, half of the time.
func TestUseOfAnUplink(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{5000}}, Clients: []Client{{Down: 500}, {Down: 500, Join: 20 * time.Second}}, Latency: -1,
		Origins: []Server{{Up: 1000}}, SampleEvery: 10 * time.Second,
	}
	res := mustRun(t, c, 1)
	for i, want := range []float64{0, 0.5, 0, 0.5} {
		if got := res.System.Samples[i].UplinkUse; math.Abs(got-want) > 0.001 {
			t.Errorf("sample %d: the uplink is used to %v, want %v", i, got, want)
		}
	}
	if got := res.System.Servers[0].Occupied; got != 20*time.Second {
		t.Errorf("the uplink was occupied for %v, want 20s", got)
	}
}

// Progress hears of the run, and can end it.
func TestProgressInterrupts(t *testing.T) {
	c := origin(crowd(10_000, Client{}), Server{Up: 10 * mib})
	calls := 0
	c.Progress = func(_ time.Duration, _, total int) bool {
		calls++
		return total == 10_000 && calls < 2
	}
	res, err := c.Run(1)
	if err != nil || res.System.Reason != "interrupted" || calls != 2 {
		t.Errorf("ended because %s after %d calls (%v)", res.System.Reason, calls, err)
	}
	checkResult(t, &c, res)
}
