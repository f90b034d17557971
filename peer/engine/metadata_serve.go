package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// metadataMessage handles the messages of BEP 9.
func (e *Engine) metadataMessage(now time.Duration, c *Conn, payload []byte) {
	if c.metadata == nil {
		return // it did not say how to answer it
	}
	m, err := wire.ParseMetadata(payload)
	if err != nil {
		e.close(c, "bad metadata message")
		return
	}
	switch m.Type {
	case wire.MetadataRequest:
		e.metadataRequested(now, c, m.Piece)
	case wire.MetadataData:
		e.metadataArrived(now, c, m)
	case wire.MetadataReject:
		e.metadataRejected(now, c, m.Piece)
	}
}

func (e *Engine) sendMetadata(now time.Duration, c *Conn, m wire.MetadataMessage) {
	payload := wire.AppendMetadata(nil, m)
	e.send(now, c, wire.Message{Type: wire.Extended, ExtID: c.metadata.id, Payload: payload})
}

// metadataRequested handles a request. BEP 9: "Peers that do not have the
// entire metadata MUST respond with a reject message to any metadata request",
// and "Clients MAY implement flood protection by rejecting request messages
// after a certain number of them have been served. Typically the number of
// pieces of metadata times a factor."
//
// The metadata of a private torrent is served like any other: BEP 27 is about
// where peers come from, and who is connected is granted what all peers are.
func (e *Engine) metadataRequested(now time.Duration, c *Conn, piece int) {
	p := c.metadata
	numPieces := metadataPieces(len(e.cfg.Metadata))
	served := p.numServed + len(p.wanted)
	if piece >= numPieces || len(p.wanted) >= maxMetadataQueued || served >= maxMetadataServed*numPieces {
		e.rejectMetadata(now, c, piece)
		return
	}
	if len(p.wanted) == 0 {
		e.askers = append(e.askers, c)
	}
	p.wanted = append(p.wanted, int32(piece))
	e.serveMetadata(now)
}

func (e *Engine) rejectMetadata(now time.Duration, c *Conn, piece int) {
	if c.metadata.numRejected++; c.metadata.numRejected > maxMetadataRejected {
		e.close(c, "too many metadata requests")
		return
	}
	e.sendMetadata(now, c, wire.MetadataMessage{Type: wire.MetadataReject, Piece: piece})
}

// serveMetadata sends what peers have asked for, one piece to each in turn, as
// long as the Grants let it and each connection has credit: a peer that does
// not read must not make its transport's queue grow.
func (e *Engine) serveMetadata(now time.Duration) {
	waiting := 0 // askers in a row that have to wait for credit
	for waiting < len(e.askers) && e.uploadAt <= now {
		c := e.askers[0]
		if c.credit <= 0 {
			e.nextAsker(true)
			waiting++
			continue
		}
		if granted, again := e.cfg.Grants.Upload(now, wire.MetadataPieceLen); granted < wire.MetadataPieceLen {
			e.uploadAt = max(again, now+1)
			return
		}
		waiting = 0
		e.releaseMetadata(now, c)
		e.nextAsker(len(c.metadata.wanted) > 0)
	}
}

// nextAsker sends the first of the askers to the end of the line, or away.
func (e *Engine) nextAsker(again bool) {
	c := e.askers[0]
	e.askers = slices.Delete(e.askers, 0, 1)
	if again {
		e.askers = append(e.askers, c)
	}
}

func (e *Engine) dropAsker(c *Conn) {
	e.askers = slices.DeleteFunc(e.askers, func(other *Conn) bool { return other == c })
}

// releaseMetadata sends the first piece of metadata that c waits for.
func (e *Engine) releaseMetadata(now time.Duration, c *Conn) {
	p := c.metadata
	piece := int(p.wanted[0])
	p.wanted = slices.Delete(p.wanted, 0, 1)
	p.numServed++
	begin := piece * wire.MetadataPieceLen
	end := min(begin+wire.MetadataPieceLen, len(e.cfg.Metadata))
	c.credit -= end - begin
	c.lastSent = now
	payload := wire.AppendMetadata(nil, wire.MetadataMessage{
		Type: wire.MetadataData, Piece: piece,
		TotalSize: int64(len(e.cfg.Metadata)), Data: e.cfg.Metadata[begin:end],
	})
	e.out.push(Output{
		Kind: OutMessage, Conn: c, Length: end - begin,
		Message: wire.Message{Type: wire.Extended, ExtID: p.id, Payload: payload},
	})
}

// metadataPieces is the number of pieces of an info dictionary of size bytes.
func metadataPieces(size int) int {
	return (size + wire.MetadataPieceLen - 1) / wire.MetadataPieceLen
}

// earlier is the earlier of two deadlines of which 0 means none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
