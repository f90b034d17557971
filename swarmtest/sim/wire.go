package sim

import (
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// overWire encodes a message and returns what its receiver reads. It is valid until the next one.
func (p *peer) overWire(m *wire.Message) *wire.Message {
	state := p.state()
	state.encoded = wire.Append(state.encoded[:0], *m)
	read, rest, err := wire.Parse(state.encoded)
	switch {
	case err != nil:
		panic(fmt.Sprintf("sim: a peer would refuse %v: %v", m, err))
	case len(rest) > 0 || len(state.encoded) != messageLen(m):
		panic(fmt.Sprintf("sim: %v has %d bytes, and was taken for %d", m, len(state.encoded), messageLen(m)))
	case m.Payload != nil && read.Payload == nil:
		read.Payload = []byte{}
	}
	return &read
}

// noBytes stand for those of a block.
var noBytes [metainfo.BlockLen]byte

// blockOverWire sends a block with its header to itself.
func (p *peer) blockOverWire(out *engine.Output) {
	m := wire.Message{Type: wire.Piece, Index: uint32(out.Piece), Begin: uint32(out.Begin), Payload: noBytes[:out.Length]}
	read := p.overWire(&m)
	out.Piece, out.Begin, out.Length = int(read.Index), int(read.Begin), len(read.Payload)
}

// handshakeOverWire is what the other side reads of a handshake.
func handshakeOverWire(h wire.Handshake) wire.Handshake {
	read, rest, err := wire.ParseHandshake(wire.AppendHandshake(nil, h))
	if err != nil || len(rest) > 0 {
		panic(fmt.Sprintf("sim: a peer would refuse a handshake: %v", err))
	}
	return read
}
