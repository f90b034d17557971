package engine_test

import (
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
	"github.com/shoal-bt/shoal/peer/wire"
)

// A driver hands inputs to an engine and does what it says. This one has no
// sockets: it prints what it would send, and plays the other peer, a seed that
// brings one block.
func Example() {
	geometry, err := metainfo.NewGeometry(metainfo.BlockLen, metainfo.BlockLen) // one piece of one block
	if err != nil {
		log.Fatal(err)
	}
	now := time.Duration(0) // since any fixed moment
	e, err := engine.New(now, engine.Config{
		PeerID:   metainfo.PeerIDFrom([12]byte{1}),
		Rand:     rand.New(rand.NewPCG(1, 2)),
		Grants:   quota.New(quota.Config{}).Join(quota.Limits{}),
		Geometry: geometry,
	})
	if err != nil {
		log.Fatal(err)
	}

	conn := new(engine.Conn)
	hear := func(in engine.Input) {
		in.Conn = conn
		now += time.Millisecond
		e.Receive(now, &in)
		if at, ok := e.NextTimeout(); ok && at <= now {
			e.Advance(now)
		}
		for out, ok := e.Next(); ok; out, ok = e.Next() {
			switch out.Kind {
			case engine.OutMessage:
				fmt.Println("send", out.Message)
			case engine.OutVerify: // a client hashes and stores the piece here
				fmt.Println("verify piece", out.Piece)
				e.Receive(now, &engine.Input{Kind: engine.InVerified, Piece: out.Piece, OK: true})
			case engine.OutHave:
				fmt.Println("send everybody: have", out.Piece)
			case engine.OutCompleted:
				fmt.Println("completed")
			case engine.OutClose:
				fmt.Println("close:", out.Reason)
			}
		}
	}
	hear(engine.Input{
		Kind: engine.InConnUp, Addr: netip.MustParseAddrPort("192.0.2.7:6881"),
		PeerID: metainfo.PeerIDFrom([12]byte{2}), Fast: true,
	})
	hear(engine.Input{Kind: engine.InMessage, Message: wire.Message{Type: wire.HaveAll}})
	hear(engine.Input{Kind: engine.InMessage, Message: wire.Message{Type: wire.Unchoke}})
	hear(engine.Input{Kind: engine.InBlock, Piece: 0, Begin: 0, Length: metainfo.BlockLen, Claimed: true})
	// Output:
	// send have none
	// send interested
	// send request 0 0+16384
	// verify piece 0
	// send not interested
	// send everybody: have 0
	// completed
	// close: both are seeds
}
