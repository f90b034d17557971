package engine

import (
	"bytes"
	"crypto/sha1"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// FuzzEngine drives an engine with peers that do anything: what is expected of
// them, what is forbidden, and all of it at any time. Nothing may panic, and
// after each step every count must be right.
func FuzzEngine(f *testing.F) {
	f.Add(uint64(1), []byte("a handful of bytes that choose what happens next, and to whom"))
	rng := rand.New(rand.NewPCG(1, 2))
	for seed := range uint64(30) {
		steps := make([]byte, 2000)
		for i := range steps {
			steps[i] = byte(rng.Uint32())
		}
		f.Add(seed, steps)
	}
	f.Fuzz(func(t *testing.T, seed uint64, steps []byte) {
		w := newMadWorld(t, seed)
		for _, step := range steps[:min(len(steps), 4000)] {
			w.step(step)
			w.drain()
			check(t, w.e)
		}
		w.end()
	})
}

// madWorld is an engine among peers that do anything.
type madWorld struct {
	t        testing.TB
	e        *Engine
	rng      *rand.Rand
	grants   *freeGrants
	now      time.Duration
	geo      metainfo.Geometry
	numConns int
	verify   []Output // not answered yet
	dials    []Output
	closing  []*Conn
	metadata []byte
}

func newMadWorld(t testing.TB, seed uint64) *madWorld {
	w := &madWorld{t: t, rng: rand.New(rand.NewPCG(seed, 1)), grants: &freeGrants{}}
	w.grants.memory = []int{0, 8 * metainfo.BlockLen, 20 * metainfo.BlockLen}[seed%3]
	var err error
	w.geo, err = metainfo.NewGeometry(20*65536-5000, 65536)
	if err != nil {
		t.Fatal(err)
	}
	w.metadata = someMetadata(5*wire.MetadataPieceLen - 1000)
	cfg := Config{Rand: rand.New(rand.NewPCG(seed, 2)), Grants: w.grants, MaxPeers: 10, Order: Order(seed % 3),
		WebSeedBelow: []int{0, -1, 5000, 1 << 40}[seed%4],
		InfoHash:     sha1.Sum(w.metadata), DHTPort: uint16(seed % 2), NoPEX: seed%5 == 0, Private: seed%11 == 0}
	if seed%4 > 0 {
		cfg.Geometry, cfg.Metadata = w.geo, w.metadata
	}
	if w.e, err = New(0, cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// conn returns a random connection, or nil.
func (w *madWorld) conn() *Conn {
	if len(w.e.conns) == 0 {
		return nil
	}
	return w.e.conns[w.rng.IntN(len(w.e.conns))]
}

func (w *madWorld) step(kind byte) {
	w.now += time.Duration(w.rng.IntN(200)) * time.Millisecond
	if at, ok := w.e.NextTimeout(); ok && at <= w.now {
		w.e.Advance(w.now)
	}
	if kind == 8 { // long enough to be snubbed, and for PEX
		w.now += snubAfter
		w.e.Advance(w.now)
	}
	c := w.conn()
	if c == nil || kind < 8 {
		w.connect()
		return
	}
	if c.webSeed && kind < 200 && kind >= 100 {
		w.answer(c) // it has nothing to say
		return
	}
	switch {
	case kind < 85:
		w.answer(c)
	case kind < 100:
		w.answerMetadata(c)
	case kind < 200:
		w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: w.message(c)})
	case kind < 205:
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: c})
	case kind < 225:
		w.e.Receive(w.now, &Input{Kind: InCredit, Conn: c, Length: w.rng.IntN(100000)})
	case kind < 240:
		w.verdict()
	case kind < 246:
		w.e.Receive(w.now, &Input{Kind: InPeers, Addrs: []netip.AddrPort{w.addr(), w.addr()}, Source: Source(w.rng.IntN(6))})
	case kind < 250:
		w.dialed()
	case kind < 251: // by another way than from peers
		w.e.Receive(w.now, &Input{Kind: InGeometry, Geometry: w.geo, Private: w.rng.IntN(4) == 0})
	default:
		w.block(c, w.rng.IntN(w.geo.NumPieces()), w.rng.IntN(5)*metainfo.BlockLen, metainfo.BlockLen)
	}
}

func (w *madWorld) addr() netip.AddrPort {
	ip := netip.AddrFrom4([4]byte{8, 8, 8, byte(w.rng.IntN(30))})
	return netip.AddrPortFrom(ip, uint16(w.rng.IntN(3)))
}

func (w *madWorld) connect() {
	w.numConns++
	if w.rng.IntN(8) == 0 {
		in := Input{Kind: InConnUp, Conn: &Conn{Owner: w.numConns}, WebSeed: true}
		in.PeerID[0] = byte(w.rng.IntN(4) + 100)
		w.e.Receive(w.now, &in)
		return
	}
	in := Input{Kind: InConnUp, Conn: &Conn{Owner: w.numConns}, Addr: w.addr(), Incoming: true,
		Fast: w.rng.IntN(2) == 0, Extended: w.rng.IntN(2) == 0, DHT: w.rng.IntN(2) == 0}
	in.PeerID[0] = byte(w.rng.IntN(30) + 1)
	w.e.Receive(w.now, &in)
}

// answer brings what the connection was asked for, or refuses it.
func (w *madWorld) answer(c *Conn) {
	if len(c.pending) == 0 || c.closing {
		return
	}
	r := c.pending[w.rng.IntN(len(c.pending))]
	begin, length := int(r.block)*metainfo.BlockLen, r.len(w.geo)
	if w.rng.IntN(10) == 0 {
		w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{Type: wire.Reject,
			Index: uint32(r.p.piece), Begin: uint32(begin), Length: uint32(length)}})
		return
	}
	w.block(c, r.p.piece, begin, length)
}

// block delivers a block. Its slot cannot be won when it is filled.
func (w *madWorld) block(c *Conn, piece, begin, length int) {
	claimed := false
	for _, p := range w.e.partials {
		if p.piece == piece && begin/metainfo.BlockLen < len(p.blocks) {
			claimed = !p.blocks[begin/metainfo.BlockLen].arrived && w.rng.IntN(20) > 0
		}
	}
	w.e.Receive(w.now, &Input{Kind: InBlock, Conn: c, Piece: piece, Begin: begin, Length: length, Claimed: claimed})
}

func (w *madWorld) message(c *Conn) wire.Message {
	kinds := []wire.Type{wire.Choke, wire.Unchoke, wire.Unchoke, wire.Unchoke, wire.Interested, wire.NotInterested,
		wire.Have, wire.Have, wire.Have, wire.Bitfield, wire.Request, wire.Request, wire.Cancel, wire.Suggest,
		wire.HaveAll, wire.HaveNone, wire.Reject, wire.AllowedFast, wire.KeepAlive, wire.Extended, wire.Extended, wire.Extended, wire.Extended, wire.Extended, wire.Port, 77}
	m := wire.Message{Type: kinds[w.rng.IntN(len(kinds))]}
	m.Index = uint32(w.rng.IntN(w.geo.NumPieces() + w.rng.IntN(2)))
	m.Begin = uint32(w.rng.IntN(5) * metainfo.BlockLen)
	m.Length = metainfo.BlockLen
	if m.Type == wire.Extended {
		m.ExtID, m.Payload = w.extended()
	}
	if m.Type == wire.Bitfield {
		m.Payload = []byte{byte(w.rng.Uint32()), byte(w.rng.Uint32()), byte(w.rng.Uint32()) & 0xf0}
	}
	return m
}

// extended returns a message of an extension.
func (w *madWorld) extended() (id uint8, payload []byte) {
	switch w.rng.IntN(12) {
	case 0: // nobody has that id
		return 9, []byte("d1:x1:ye")
	case 1:
		return uint8(w.rng.IntN(3)), []byte("d1:xi-0ee")
	case 2, 3:
		p := wire.PEX{Added: []wire.PEXPeer{{Addr: w.addr()}, {Addr: w.addr(), Flags: wire.PEXSeed}}}
		return pexExtID, wire.AppendPEX(nil, p)
	case 4:
		m := wire.MetadataMessage{Type: wire.MetadataReject, Piece: w.rng.IntN(6)}
		return metadataExtID, wire.AppendMetadata(nil, m)
	case 5, 6:
		m := wire.MetadataMessage{Type: wire.MetadataRequest, Piece: w.rng.IntN(6)}
		return metadataExtID, wire.AppendMetadata(nil, m)
	}
	sizes := []int{0, len(w.metadata), len(w.metadata), len(w.metadata), len(w.metadata) - 1, 100, maxMetadataLen, maxMetadataLen + 1}
	h := wire.ExtHandshake{
		M: []wire.Extension{
			{Name: wire.ExtMetadata, ID: uint8(min(1, w.rng.IntN(10)))},
			{Name: wire.ExtPEX, ID: uint8(min(1, w.rng.IntN(10)))},
		},
		Port: uint16(w.rng.IntN(3)), UploadOnly: w.rng.IntN(2) == 0,
		MetadataSize: int64(sizes[w.rng.IntN(len(sizes))]),
	}
	return wire.ExtHandshakeID, wire.AppendExtHandshake(nil, h)
}

// answerMetadata brings a piece that the connection was asked for, mostly the
// true one, or refuses it.
func (w *madWorld) answerMetadata(c *Conn) {
	if c.metadata == nil || len(c.metadata.asked) == 0 {
		return
	}
	r := c.metadata.asked[w.rng.IntN(len(c.metadata.asked))]
	m := wire.MetadataMessage{Type: wire.MetadataData, Piece: r.piece, TotalSize: int64(r.of.size)}
	m.Data = pieceOf(w.metadata, r.piece)
	if len(m.Data) != r.of.pieceLen(r.piece) {
		m.Data = make([]byte, r.of.pieceLen(r.piece))
	}
	switch w.rng.IntN(20) {
	case 0:
		m.TotalSize++
	case 1:
		m.Data = m.Data[1:]
	case 2:
		m = wire.MetadataMessage{Type: wire.MetadataReject, Piece: r.piece}
	case 3, 4:
		m.Data = make([]byte, len(m.Data))
	}
	w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{
		Type: wire.Extended, ExtID: metadataExtID, Payload: wire.AppendMetadata(nil, m)}})
}

func (w *madWorld) drain() {
	if len(w.closing) > 0 && w.rng.IntN(3) == 0 {
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: w.closing[0]})
		w.closing = w.closing[1:]
	}
	for out, ok := w.e.Next(); ok; out, ok = w.e.Next() {
		switch out.Kind {
		case OutMessage:
			w.checkSaid(out)
		case OutVerify:
			w.verify = append(w.verify, *out)
		case OutDial:
			w.dials = append(w.dials, *out)
		case OutClose:
			w.closing = append(w.closing, out.Conn)
		case OutMetadata:
			if !bytes.Equal(out.Metadata, w.metadata) {
				w.t.Fatalf("%d bytes of false metadata", len(out.Metadata))
			}
			if w.rng.IntN(2) == 0 {
				w.e.Receive(w.now, &Input{Kind: InGeometry, Geometry: w.geo, Private: w.rng.IntN(4) == 0})
			}
		}
	}
}

// checkSaid fails if a web seed is told what no server understands.
func (w *madWorld) checkSaid(out *Output) {
	if kind := out.Message.Type; out.Conn.webSeed && kind != wire.Request && kind != wire.Cancel {
		w.t.Fatalf("a web seed is sent %v", out.Message)
	}
}

func (w *madWorld) verdict() {
	if len(w.verify) == 0 {
		return
	}
	out := w.verify[0]
	w.verify = w.verify[1:]
	in := Input{Kind: InVerified, Piece: out.Piece, OK: w.rng.IntN(4) > 0}
	if out.Digests || !in.OK {
		in.Digests = make([][20]byte, w.geo.NumBlocks(out.Piece))
		in.Digests[0][0] = byte(w.rng.IntN(2))
	}
	switch w.rng.IntN(8) {
	case 0:
		w.e.Receive(w.now, &Input{Kind: InStoreFailed, Piece: out.Piece})
		w.e.Receive(w.now, &Input{Kind: InStoreReady})
	default:
		w.e.Receive(w.now, &in)
	}
}

func (w *madWorld) dialed() {
	if len(w.dials) == 0 {
		return
	}
	out := w.dials[0]
	w.dials = w.dials[1:]
	if w.rng.IntN(2) == 0 {
		w.e.Receive(w.now, &Input{Kind: InDialFailed, Addr: out.Addr})
		return
	}
	w.numConns++
	in := Input{Kind: InConnUp, Conn: &Conn{Owner: w.numConns}, Addr: out.Addr, Fast: true}
	in.PeerID[0] = byte(w.rng.IntN(30) + 1)
	w.e.Receive(w.now, &in)
}

// end takes every connection down: what was taken from the Grants must have
// been given back.
func (w *madWorld) end() {
	for len(w.e.conns) > 0 {
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: w.e.conns[0]})
		w.drain()
		check(w.t, w.e)
	}
	if w.grants.conns != 0 || w.grants.dials != len(w.dials) {
		w.t.Fatalf("%d connections and %d dials were not given back", w.grants.conns, w.grants.dials-len(w.dials))
	}
	if w.grants.buffered != w.e.buffered {
		w.t.Fatalf("%d bytes are held, the engine counts %d", w.grants.buffered, w.e.buffered)
	}
}
