package peer

import (
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// What ends a handshake, besides the network and wire.ProtocolError.
var (
	errOtherTorrent = errors.New("the peer answered for another torrent")
	errNoTorrent    = errors.New("the peer wants a torrent that is not here")
	errBusy         = errors.New("too many connections")
)

// exchange sends our handshake on an outgoing connection and reads the
// peer's. BEP 3: "If both sides don't send the same value, they sever the
// connection." That the peer may be this client itself is left to the engine,
// which also remembers not to dial the address again.
func exchange(tr transport, ours wire.Handshake) (wire.Handshake, error) {
	if err := sendHandshake(tr, ours); err != nil {
		return wire.Handshake{}, err
	}
	theirs, err := receiveHandshake(tr)
	switch {
	case err != nil:
		return theirs, err
	case theirs.InfoHash != ours.InfoHash:
		return theirs, errOtherTorrent
	}
	return theirs, nil
}

func sendHandshake(tr transport, ours wire.Handshake) error {
	if err := tr.SetWriteDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	for bufs := [][]byte{wire.AppendHandshake(nil, ours)}; len(bufs) > 0; {
		n, err := tr.WriteVec(bufs)
		if err != nil {
			return fmt.Errorf("send the handshake: %w", err)
		}
		bufs = dropBytes(bufs, n)
	}
	return nil
}

// receiveHandshake reads exactly a handshake, within handshakeTimeout
// altogether: what follows belongs to the decoder. Who speaks another protocol
// is found out by the first bytes.
func receiveHandshake(tr transport) (wire.Handshake, error) {
	if err := tr.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return wire.Handshake{}, err
	}
	var buf [wire.HandshakeLen]byte
	for have := 0; ; {
		n, err := tr.Read(buf[have:])
		have += n
		h, _, parseErr := wire.ParseHandshake(buf[:have])
		if parseErr == nil {
			return h, tr.SetReadDeadline(time.Time{})
		}
		if parseErr != wire.ErrShort {
			return h, parseErr
		}
		if err != nil {
			return h, fmt.Errorf("receive the handshake: %w", err)
		}
	}
}
