package wire

import "github.com/shoal-bt/shoal/metainfo"

// protocolName is how every handshake begins. BEP 3: "The handshake starts
// with character ninteen (decimal) followed by the string 'BitTorrent
// protocol'."
const protocolName = "\x13BitTorrent protocol"

// HandshakeLen is the length in bytes of a handshake: the protocol's name,
// eight reserved bytes, the info-hash and the peer id.
const HandshakeLen = len(protocolName) + 8 + 20 + 20

// The bits of the reserved bytes that say what a peer can do.
const (
	reservedExtended = 0x10 // in byte 5, BEP 10
	reservedFast     = 0x04 // in byte 7, BEP 6
	reservedDHT      = 0x01 // in byte 7, BEP 5
)

// Handshake is what each peer sends first.
type Handshake struct {
	// Reserved are the eight bytes by which extensions announce themselves.
	// Use the methods to read them.
	Reserved [8]byte

	// InfoHash names the torrent that the connection is about. BEP 3: "If
	// both sides don't send the same value, they sever the connection."
	InfoHash metainfo.InfoHash

	// PeerID is the sender's name for itself.
	PeerID metainfo.PeerID
}

// NewHandshake returns the handshake of a Shoal peer, which offers the fast
// extension (BEP 6) and the extension protocol (BEP 10).
func NewHandshake(infoHash metainfo.InfoHash, id metainfo.PeerID) Handshake {
	h := Handshake{InfoHash: infoHash, PeerID: id}
	h.Reserved[5] |= reservedExtended
	h.Reserved[7] |= reservedFast
	return h
}

// Fast reports whether the sender has the fast extension, BEP 6: "The
// extension is enabled only if both ends of the connection set this bit."
func (h Handshake) Fast() bool { return h.Reserved[7]&reservedFast != 0 }

// Extended reports whether the sender has the extension protocol, BEP 10.
func (h Handshake) Extended() bool { return h.Reserved[5]&reservedExtended != 0 }

// DHT reports whether the sender runs a DHT node and understands the port
// message, BEP 5.
func (h Handshake) DHT() bool { return h.Reserved[7]&reservedDHT != 0 }

// WithDHT returns h with the bit of a sender that runs a DHT node, BEP 5:
// "Peers supporting the DHT set the last bit of the 8-byte reserved flags
// exchanged in the BitTorrent protocol handshake."
func (h Handshake) WithDHT() Handshake {
	h.Reserved[7] |= reservedDHT
	return h
}

// AppendHandshake appends the HandshakeLen bytes of h to b.
func AppendHandshake(b []byte, h Handshake) []byte {
	b = append(b, protocolName...)
	b = append(b, h.Reserved[:]...)
	b = append(b, h.InfoHash[:]...)
	return append(b, h.PeerID[:]...)
}

// ParseHandshake reads the handshake at the beginning of b and returns what
// follows it. The error is [ErrShort] if b holds less than HandshakeLen bytes,
// and a [ProtocolError] as soon as a byte is not the protocol's name, so that
// whoever speaks another protocol is not waited for.
func ParseHandshake(b []byte) (h Handshake, rest []byte, err error) {
	n := min(len(b), len(protocolName))
	if string(b[:n]) != protocolName[:n] {
		return Handshake{}, b, protocolErrorf("not a BitTorrent handshake")
	}
	if len(b) < HandshakeLen {
		return Handshake{}, b, ErrShort
	}
	fields := b[len(protocolName):HandshakeLen]
	copy(h.Reserved[:], fields)
	copy(h.InfoHash[:], fields[8:])
	copy(h.PeerID[:], fields[28:])
	return h, b[HandshakeLen:], nil
}
