package engine

import (
	"bytes"
	"crypto/sha1"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// magnetNet is a network with one magnet link and peers that have, or pretend
// to have, its metadata.
type magnetNet struct {
	*testNet
	metadata []byte
	infoHash metainfo.InfoHash
	magnet   *testNode
}

func newMagnetNet(t *testing.T, size int) *magnetNet {
	w := &magnetNet{testNet: newTestNet(t), metadata: someMetadata(size)}
	w.infoHash = sha1.Sum(w.metadata)
	w.magnet = w.add(Config{InfoHash: w.infoHash}, true)
	return w
}

// serve adds a seed that serves these bytes as the metadata, and connects it.
func (w *magnetNet) serve(metadata []byte) *testNode {
	n := w.add(Config{InfoHash: w.infoHash, Metadata: metadata}, false)
	w.connect(w.magnet, n)
	return n
}

// lie returns the metadata with a false byte in every third piece.
func (w *magnetNet) lie(from int) []byte {
	b := bytes.Clone(w.metadata)
	for i := from * wire.MetadataPieceLen; i < len(b); i += 3 * wire.MetadataPieceLen {
		b[i] ^= 1
	}
	return b
}

func (w *magnetNet) hasMetadata() bool { return w.magnet.gotMetadata != nil }

// want fails the test unless the metadata came by then, and the download after it.
func (w *magnetNet) want(by time.Duration) {
	w.t.Helper()
	w.run(by, w.hasMetadata)
	if !bytes.Equal(w.magnet.gotMetadata, w.metadata) {
		w.t.Fatalf("after %v there are %d bytes of metadata, want %d", w.now, len(w.magnet.gotMetadata), len(w.metadata))
	}
	w.t.Logf("metadata after %v, %d requests for %d pieces", w.now, w.magnet.sent["metadata request"], metadataPieces(len(w.metadata)))
	w.run(w.now+20*time.Second, func() bool { return w.magnet.completed > 0 })
	if w.magnet.completed == 0 {
		w.t.Fatalf("the download did not complete by %v", w.now)
	}
}

func TestMagnetFromOnePeer(t *testing.T) {
	for _, size := range []int{1, wire.MetadataPieceLen, wire.MetadataPieceLen + 1, 1 << 20} {
		w := newMagnetNet(t, size)
		w.serve(w.metadata)
		// Sixteen round trips of four pieces, and half a MiB at its pace.
		w.want(5 * time.Second)
		if n := w.magnet.sent["metadata request"]; n != metadataPieces(size) {
			t.Errorf("%d bytes: %d requests, want %d", size, n, metadataPieces(size))
		}
	}
}

// 1 MiB from five peers of which two lie: nobody knows of whom, until each has
// sent all of it alone.
func TestMagnetAmongLiars(t *testing.T) {
	w := newMagnetNet(t, 1<<20)
	for i := range 5 {
		if i%2 == 1 {
			w.serve(w.lie(i))
		} else {
			w.serve(w.metadata)
		}
	}
	w.want(10 * time.Second)
	w.run(w.now+time.Second, nil)
	for i, n := range w.nodes[1:] {
		if banned, liar := w.magnet.bans.hasIP(n.addr.Addr()), i%2 == 1; banned != liar {
			t.Errorf("peer %d is banned: %v", i, banned)
		}
	}
}

// The same peers do the same again, to the byte.
func TestMagnetReplays(t *testing.T) {
	run := func() []byte {
		w := newMagnetNet(t, 1<<20)
		for i := range 12 {
			w.serve(w.lie(i)).tamper = func(out *Output) bool { return i%4 > 0 || messageKind(out.Message) != "metadata data" }
		}
		w.serve(w.metadata)
		w.run(3*time.Minute, nil)
		if !w.hasMetadata() {
			t.Error("no metadata")
		}
		return w.log.Sum(nil)
	}
	if first, second := run(), run(); !bytes.Equal(first, second) {
		t.Errorf("%x, then %x", first, second)
	}
}

// Each false byte is known to be that of who sent it, once the truth is here.
func TestEveryLiarIsConvicted(t *testing.T) {
	w := newMagnetNet(t, 12*wire.MetadataPieceLen)
	everyPieceFalse := bytes.Clone(w.metadata)
	for i := range everyPieceFalse {
		everyPieceFalse[i] ^= 0x80
	}
	liars := []*testNode{w.serve(everyPieceFalse), w.serve(everyPieceFalse)}
	w.serve(w.metadata)
	w.want(10 * time.Second)
	for i, n := range liars {
		if !w.magnet.bans.hasIP(n.addr.Addr()) {
			t.Errorf("liar %d is not banned", i)
		}
	}
	if w.magnet.bans.len() != 2 {
		t.Errorf("%d are banned, want 2", w.magnet.bans.len())
	}
}

// Peers that say another size cannot hold up those who say the right one, how
// few these are and how the others behave.
func TestMagnetSizesDisagree(t *testing.T) {
	w := newMagnetNet(t, 100_000)
	keepBack := func(out *Output) bool { return messageKind(out.Message) != "metadata data" }
	for range 3 {
		w.serve(append(bytes.Clone(w.metadata), 0)).tamper = keepBack
	}
	huge := w.serve(someMetadata(4 << 20))
	w.serve(w.metadata[:99_999])
	w.serve(w.metadata)
	w.want(2 * time.Second)
	if w.magnet.bans.hasIP(huge.addr.Addr()) {
		t.Errorf("a peer is banned that sent nothing whole")
	}
}

// A claim costs nothing: memory grows with what arrived.
func TestMetadataSizesAreOnlyClaims(t *testing.T) {
	w := newMagnetNet(t, 100)
	for i := range 50 {
		w.serve([]byte{1}).tamper = func(out *Output) bool {
			if messageKind(out.Message) == "handshake" && out.Message.Type == wire.Extended {
				h, _ := wire.ParseExtHandshake(out.Message.Payload)
				h.MetadataSize = int64(maxMetadataLen - i)
				out.Message.Payload = wire.AppendExtHandshake(nil, h)
			}
			return messageKind(out.Message) != "metadata data"
		}
	}
	w.run(time.Minute, nil)
	pieces := 0
	for _, m := range w.magnet.fetch.copies {
		pieces += len(m.pieces)
	}
	if len(w.magnet.fetch.copies) != 50 || w.magnet.fetch.held != 0 || pieces > 50*maxMetadataAsked {
		t.Errorf("%d copies of %d pieces hold %d bytes", len(w.magnet.fetch.copies), pieces, w.magnet.fetch.held)
	}
}

// When all refuse they are asked again, less and less often; when one has
// changed its mind it is heard.
func TestMagnetAllReject(t *testing.T) {
	w := newMagnetNet(t, 50_000)
	const until = 10 * time.Minute
	for range 4 {
		n := w.serve(w.metadata)
		n.tamper = func(out *Output) bool {
			if messageKind(out.Message) != "metadata data" || w.now > until {
				return true
			}
			m, _ := wire.ParseMetadata(out.Message.Payload)
			out.Message.Payload = wire.AppendMetadata(nil, wire.MetadataMessage{Type: wire.MetadataReject, Piece: m.Piece})
			return true
		}
	}
	w.run(until, w.hasMetadata)
	// Pauses of 10, 20, 40, 80, 160 and 300 s, four requests after each.
	if n := w.magnet.sent["metadata request"]; w.hasMetadata() || n > 4*7*maxMetadataAsked || n < 4*5 {
		t.Errorf("%d requests while all refuse", n)
	}
	// Eight times the pieces were served, as the four see it: others come.
	w.serve(w.metadata)
	w.want(until + metadataPauseLast)
}

// A peer that goes away in the middle leaves what it brought to the others.
func TestMagnetPeerLeaves(t *testing.T) {
	w := newMagnetNet(t, 40*wire.MetadataPieceLen)
	first := w.serve(w.metadata)
	w.run(time.Minute, func() bool { return w.magnet.Stats(w.now).MetadataHave >= 20*wire.MetadataPieceLen })
	for id := range first.peers {
		w.disconnect(first, id)
	}
	w.run(w.now+time.Second, nil)
	if w.magnet.Stats(w.now).MetadataHave < 20*wire.MetadataPieceLen {
		t.Fatalf("%d bytes are left", w.magnet.Stats(w.now).MetadataHave)
	}
	w.serve(w.metadata)
	w.want(w.now + 3*time.Second)
	if n := w.magnet.sent["metadata request"]; n > 40+maxMetadataAsked {
		t.Errorf("%d requests for 40 pieces", n)
	}
}

// One that was a magnet link itself serves the next, without a new connection.
func TestMagnetServesOthersAtOnce(t *testing.T) {
	w := newMagnetNet(t, 50_000)
	next := w.add(Config{InfoHash: w.infoHash}, true)
	w.connect(next, w.magnet)
	w.run(20*time.Second, nil)
	w.serve(w.metadata)
	w.run(w.now+time.Second, func() bool { return next.gotMetadata != nil })
	if !bytes.Equal(next.gotMetadata, w.metadata) {
		t.Errorf("the second magnet link has %d bytes of metadata", len(next.gotMetadata))
	}
}

// Slow liars take all the places of those who fetch alone; the honest peer
// comes after all.
func TestMagnetAmongManySlowPeers(t *testing.T) {
	w := newMagnetNet(t, 20*wire.MetadataPieceLen)
	for i := range 3 * maxMetadataAlone {
		n := w.serve(w.lie(i))
		lastData := time.Duration(0)
		n.tamper = func(out *Output) bool {
			if messageKind(out.Message) != "metadata data" || len(w.magnet.fetch.failed) == 0 {
				return true
			}
			if w.now-lastData < 9*time.Second {
				return false // a piece now and then, the others never
			}
			lastData = w.now
			return true
		}
	}
	w.run(10*time.Second, nil)
	if len(w.magnet.fetch.failed) == 0 {
		t.Fatal("nothing has failed yet")
	}
	w.serve(w.metadata)
	w.want(2 * time.Minute)
}

// All the copies together are bounded, and the slowest goes first.
func TestMetadataHeldIsBounded(t *testing.T) {
	w := newMagnetNet(t, 100)
	e := w.magnet.Engine
	fast, slow := w.add(Config{}, true), w.add(Config{}, true)
	claim := func(n *testNode, size int) *Conn {
		c := w.magnet.known[w.connect(w.magnet, n)]
		h := wire.ExtHandshake{M: []wire.Extension{{Name: wire.ExtMetadata, ID: metadataExtID}}, MetadataSize: int64(size)}
		e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{
			Type: wire.Extended, ExtID: wire.ExtHandshakeID, Payload: wire.AppendExtHandshake(nil, h)}})
		return c
	}
	a, b := claim(fast, maxMetadataLen), claim(slow, maxMetadataLen-1)
	piece := make([]byte, wire.MetadataPieceLen)
	give := func(c *Conn) {
		r := c.metadata.asked[0]
		m := wire.MetadataMessage{Type: wire.MetadataData, Piece: r.piece, TotalSize: int64(r.of.size), Data: piece}
		e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{
			Type: wire.Extended, ExtID: metadataExtID, Payload: wire.AppendMetadata(nil, m)}})
		for _, ok := e.Next(); ok; _, ok = e.Next() {
		}
	}
	total := maxMetadataLen / wire.MetadataPieceLen
	for i := range total {
		w.now += time.Millisecond
		if i%4 == 3 {
			give(b)
		} else {
			give(a)
		}
	}
	check(t, e)
	if len(e.fetch.copies) != 2 || e.fetch.held != maxMetadataLen {
		t.Fatalf("%d copies hold %d bytes, want two that hold all they may", len(e.fetch.copies), e.fetch.held)
	}
	give(b)
	check(t, e)
	if len(e.fetch.copies) != 1 || e.fetch.copies[0].size != maxMetadataLen || b.metadata.retryAt < w.now+metadataAloneFor {
		t.Errorf("the slower copy did not go: %d copies", len(e.fetch.copies))
	}
}

// A peer that asks for everything at once gets as much as its connection has
// credit for, and one that asks without end is turned away.
func TestMetadataIsPaidFromCredit(t *testing.T) {
	w := newTestNet(t)
	metadata := someMetadata(2 << 20)
	n := w.add(Config{Metadata: metadata}, false)
	numPieces := metadataPieces(len(metadata))
	n.stuck = true
	c := &Conn{Owner: 1}
	n.Receive(0, &Input{Kind: InConnUp, Conn: c, Addr: netip.MustParseAddrPort("10.0.0.9:9"), PeerID: metainfo.PeerID{9}, Extended: true})
	say := func(id uint8, payload []byte) {
		n.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{Type: wire.Extended, ExtID: id, Payload: payload}})
	}
	say(wire.ExtHandshakeID, []byte("d1:md11:ut_metadatai1eee"))
	request := func(piece int) {
		say(metadataExtID, wire.AppendMetadata(nil, wire.MetadataMessage{Type: wire.MetadataRequest, Piece: piece}))
	}
	for piece := range numPieces {
		request(piece)
	}
	served := 0
	for _, pieces := range []int{0, 8, 1, numPieces - 9} {
		n.Receive(w.now, &Input{Kind: InCredit, Conn: c, Length: pieces * wire.MetadataPieceLen})
		w.run(w.now+time.Minute, nil)
		if served += pieces; n.sent["metadata data"] != served || n.sent["metadata reject"] != 0 {
			t.Errorf("%d pieces and %d rejects, want %d and none", n.sent["metadata data"], n.sent["metadata reject"], served)
		}
	}
	for range maxMetadataQueued + maxMetadataRejected + 10 {
		request(0)
	}
	w.run(w.now+time.Second, nil)
	if !slices.Contains(n.closed, "too many metadata requests") {
		t.Errorf("closed for %q after %v", n.closed, n.sent)
	}
	if len(n.askers) > 0 {
		t.Errorf("a closed connection waits for metadata")
	}
}

// Metadata counts against the limit of the uplink.
func TestMetadataHeedsTheUploadLimit(t *testing.T) {
	w := newMagnetNet(t, 10*wire.MetadataPieceLen)
	n := w.serve(w.metadata)
	n.cfg.Grants = &stingyGrants{freeGrants: n.grants}
	w.run(20*time.Second, w.hasMetadata)
	if !w.hasMetadata() || w.now < 9*time.Second {
		t.Errorf("ten pieces came within %v, want one a second", w.now)
	}
}

// stingyGrants grants one block a second.
type stingyGrants struct {
	*freeGrants
	next time.Duration
}

func (g *stingyGrants) Upload(now time.Duration, want int) (int, time.Duration) {
	if now < g.next {
		return 0, g.next
	}
	g.next = now + time.Second
	return want, 0
}

// DHT nodes are told to peers that have one, and heard of.
func TestPortMessages(t *testing.T) {
	w := newTestNet(t)
	a, b, c := w.add(Config{DHTPort: 1000}, true), w.add(Config{DHTPort: 2000}, true), w.add(Config{}, true)
	w.connect(a, b)
	w.connect(a, c)
	w.run(time.Second, nil)
	if len(a.nodesTold) != 1 || a.nodesTold[0].String() != "10.0.0.2:2000" || len(b.nodesTold) != 1 || len(c.nodesTold) != 0 {
		t.Errorf("%v, %v and %v were told", a.nodesTold, b.nodesTold, c.nodesTold)
	}
	if a.sent["port"] != 1 || c.sent["port"] != 0 {
		t.Errorf("%d and %d port messages, want 1 and none", a.sent["port"], c.sent["port"])
	}
}
