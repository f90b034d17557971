package engine

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// path is a peer behind a link: it answers requests in order, after the round
// trip, as fast as the link carries.
type path struct {
	rate  int // bytes/s
	delay time.Duration
	free  time.Duration // when the link has sent what it was given
	sent  []Input
	at    []time.Duration
}

func (p *path) request(now time.Duration, m wire.Message) {
	p.free = max(p.free, now+p.delay) + time.Duration(int64(m.Length)*int64(time.Second)/int64(p.rate))
	p.at = append(p.at, p.free)
	p.sent = append(p.sent, Input{Kind: InBlock, Claimed: true,
		Piece: int(m.Index), Begin: int(m.Begin), Length: int(m.Length)})
}

// TestWindowFillsTheLink: one peer, links from slow to one gigabit at a round
// trip of 100 ms. After the first seconds the link must be filled, and the
// blocks asked for at a time must not be far more than that takes.
func TestWindowFillsTheLink(t *testing.T) {
	for _, link := range []struct {
		rate       int
		delay      time.Duration
		mostBlocks int
	}{
		{20_000, 50 * time.Millisecond, 12},
		{1_000_000, 100 * time.Millisecond, 60},
		{125_000_000, 100 * time.Millisecond, maxWindow},
		{400_000_000, time.Millisecond, 400},
	} {
		const from, until = 6 * time.Second, 12 * time.Second
		bytes, pending := runPath(t, &path{rate: link.rate, delay: link.delay}, from, until)
		full := float64(link.rate) * (until - from).Seconds()
		if share := float64(bytes) / full; share < 0.95 {
			t.Errorf("%d bytes/s at %v: %.0f %% filled", link.rate, link.delay, share*100)
		}
		if pending > link.mostBlocks {
			t.Errorf("%d bytes/s at %v: %d blocks asked for, want at most %d", link.rate, link.delay, pending, link.mostBlocks)
		}
	}
}

// runPath downloads through p and returns the bytes that came between from
// and until, and the most blocks that were asked for at a time then.
func runPath(t *testing.T, p *path, from, until time.Duration) (bytes int64, pending int) {
	geo, err := metainfo.NewGeometry(8<<30, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(0, Config{PeerID: metainfo.PeerID{1}, Geometry: geo, Rand: rand.New(rand.NewPCG(1, 1)), Grants: new(freeGrants)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Duration(0)
	c := new(Conn)
	e.Receive(now, &Input{Kind: InConnUp, Conn: c, Addr: netip.MustParseAddrPort("10.0.0.1:1"), Fast: true})
	hello := []wire.Message{{Type: wire.HaveAll}, {Type: wire.Extended, Payload: wire.AppendExtHandshake(nil, wire.ExtHandshake{ReqQ: maxWindow})}, {Type: wire.Unchoke}}
	for _, m := range hello {
		e.Receive(now, &Input{Kind: InMessage, Conn: c, Message: m})
	}
	for {
		for out, ok := e.Next(); ok; out, ok = e.Next() {
			switch {
			case out.Kind == OutMessage && out.Message.Type == wire.Request:
				p.request(now, out.Message)
			case out.Kind == OutClose:
				t.Fatalf("closed: %s", out.Reason)
			case out.Kind == OutVerify:
				e.Receive(now, &Input{Kind: InVerified, Piece: out.Piece, OK: true})
			}
		}
		if len(p.sent) == 0 {
			t.Fatal("nothing is asked for")
		}
		now = p.at[0]
		if now >= until {
			return bytes, pending
		}
		in := p.sent[0]
		in.Conn = c
		p.sent, p.at = p.sent[1:], p.at[1:]
		if at, ok := e.NextTimeout(); ok && at <= now {
			e.Advance(now)
		}
		e.Receive(now, &in)
		if now >= from {
			bytes += int64(in.Length)
			pending = max(pending, len(e.conns[0].pending))
		}
	}
}
