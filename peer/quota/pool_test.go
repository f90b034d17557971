package quota

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestConnectionsAreBoundedForTorrentAndProcess(t *testing.T) {
	q := New(Config{Connections: 3, HalfOpen: 1})
	a, b := q.Join(Limits{Connections: 2}), q.Join(Limits{})
	for i := range 3 {
		if got, want := a.Connect(0), i < 2; got != want {
			t.Errorf("connection %d of a torrent that may have 2: %v", i+1, got)
		}
	}
	if !b.Connect(0) || b.Connect(0) {
		t.Error("the process's limit of 3 does not hold")
	}
	if !a.Dial(0) || b.Dial(0) {
		t.Error("the limit of 1 half-open dial does not hold")
	}
	a.DialDone(0)
	if !b.Dial(0) {
		t.Error("a dial that ended is not given back")
	}
}

func TestWhatIsFreedGoesToWhoHoldsLess(t *testing.T) {
	q := New(Config{Connections: 4})
	many, few := q.Join(Limits{}), q.Join(Limits{})
	for range 4 {
		many.Connect(0)
	}
	if few.Connect(0) {
		t.Fatal("a fifth connection")
	}
	many.Disconnect(0)
	if many.Connect(0) {
		t.Error("who holds three took the one that another waits for")
	}
	if !few.Connect(0) {
		t.Error("who waits was refused")
	}
	many.Disconnect(0)
	if !many.Connect(0) {
		t.Error("nobody waits, but a free connection was refused")
	}
	few.Connect(0) // and never asks again
	many.Disconnect(0)
	if !many.Connect(2 * hungerLasts) {
		t.Error("a connection is kept for somebody who lost interest")
	}
}

func TestBufferBeyondThePoolIsGrantedWhenItIsEmpty(t *testing.T) {
	q := New(Config{Buffer: 1000, Strict: true})
	large, small := q.Join(Limits{}), q.Join(Limits{})
	small.Buffer(0, 600)
	if large.Buffer(0, 5000) {
		t.Fatal("5,000 of 1,000 bytes granted beside 600")
	}
	if small.Buffer(0, 100) {
		t.Error("who holds bytes took more of them before who holds none")
	}
	small.Unbuffer(0, 600)
	if !large.Buffer(0, 5000) {
		t.Error("a want larger than the pool is never granted")
	}
	large.Unbuffer(0, 5000)
	if !small.Buffer(0, 1000) {
		t.Error("bytes given back cannot be had")
	}
}

func TestGivingBackTooMuch(t *testing.T) {
	s := New(Config{Connections: 1}).Join(Limits{})
	s.Disconnect(0)
	s.Unbuffer(0, 10)
	if !s.Connect(0) || s.Connect(0) {
		t.Error("a connection that was never taken was given back")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic though Strict")
		}
	}()
	New(Config{Strict: true}).Join(Limits{}).DialDone(0)
}

func TestLeaveGivesEverythingBack(t *testing.T) {
	q := New(Config{Up: 1000, Connections: 1, HalfOpen: 1, Buffer: 10, Slots: 1, Strict: true})
	a, b := q.Join(Limits{}), q.Join(Limits{})
	hold := func(s *Share) bool {
		return s.Connect(0) && s.Dial(0) && s.Buffer(0, 10) && s.Slots(0, 5) == 1
	}
	if !hold(a) || hold(b) {
		t.Fatal("the limits do not hold")
	}
	a.Upload(0, blockLen)
	a.Upload(0, blockLen)
	a.Leave(0)
	if !hold(b) {
		t.Error("something was not given back")
	}
	if _, again := b.Upload(0, blockLen); again != blockLen*time.Millisecond {
		t.Errorf("the turn of who left is not given back: again at %v", again)
	}
}

func TestSlotsAreDividedEvenly(t *testing.T) {
	q := New(Config{Slots: 12})
	wants := []int{1, 9, 9, 9}
	var shares []*Share
	for range wants {
		shares = append(shares, q.Join(Limits{}))
	}
	total := make([]int, len(wants))
	const rounds = 300
	for round := range rounds {
		sum := 0
		for i, s := range shares {
			total[i] += s.Slots(time.Duration(round)*10*time.Second+time.Duration(3*i)*time.Second, wants[i])
		}
		for _, s := range shares {
			sum += s.slotsHeld
		}
		if sum > 12 {
			t.Fatalf("round %d: %d slots of 12", round, sum)
		}
	}
	if total[0] < rounds-3 {
		t.Errorf("who wants one slot had it in %d of %d rounds", total[0], rounds)
	}
	for i, n := range total[1:] {
		if mean := float64(n) / rounds; mean < 3.5 || mean > 3.7 {
			t.Errorf("torrent %d had %.2f slots, want nearly 3.67", i+1, mean)
		}
	}
}

func TestFewerSlotsThanTorrentsGoRound(t *testing.T) {
	q := New(Config{Slots: 2})
	shares := []*Share{q.Join(Limits{}), q.Join(Limits{}), q.Join(Limits{}), q.Join(Limits{}), q.Join(Limits{})}
	total := make([]int, len(shares))
	for round := range 600 {
		for i, s := range shares {
			total[i] += s.Slots(time.Duration(round)*10*time.Second, 4)
		}
	}
	for i, n := range total {
		if n < 150 || n > 300 {
			t.Errorf("torrent %d had a slot in %d rounds of 600, want about 240", i, n)
		}
	}
}

func TestPoolNeverExceedsItsBoundNorGoesNegative(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	q := New(Config{Connections: 20, Buffer: 1000})
	var shares []*Share
	for range 6 {
		shares = append(shares, q.Join(Limits{Connections: r.IntN(12)}))
	}
	for step := range 20_000 {
		now := time.Duration(step) * time.Millisecond
		s := shares[r.IntN(len(shares))]
		switch r.IntN(4) {
		case 0:
			s.Connect(now)
		case 1:
			s.Disconnect(now)
		case 2:
			s.Buffer(now, r.IntN(200))
		case 3:
			s.Unbuffer(now, r.IntN(300))
		}
		checkPools(t, q)
	}
}

func checkPools(t *testing.T, q *Quota) {
	t.Helper()
	var connections, buffer int64
	for _, s := range q.shares {
		if s.connections.used < 0 || s.buffer.used < 0 {
			t.Fatal("a torrent holds less than nothing")
		}
		connections += s.connections.used
		buffer += s.buffer.used
	}
	if connections != q.connections.used || buffer != q.buffer.used {
		t.Fatal("the sum of the parts is not the whole")
	}
	if connections > 20 || buffer > 1000 {
		t.Fatalf("%d connections of 20, %d bytes of 1,000", connections, buffer)
	}
}
