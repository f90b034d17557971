package wire

import (
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
)

// Type is the byte that gives the type of a message.
type Type uint8

// The types of BEP 3, with the payload that follows each. All integers are
// four bytes, big-endian.
const (
	Choke         Type = 0 // none
	Unchoke       Type = 1 // none
	Interested    Type = 2 // none
	NotInterested Type = 3 // none
	Have          Type = 4 // piece index
	Bitfield      Type = 5 // one bit for each piece, from high to low
	Request       Type = 6 // piece index, begin, length
	Piece         Type = 7 // piece index, begin, block
	Cancel        Type = 8 // piece index, begin, length
)

// Port is the message of BEP 5: the UDP port of the sender's DHT node, two
// bytes.
const Port Type = 9

// The types of the fast extension, BEP 6.
const (
	Suggest     Type = 0x0d // piece index
	HaveAll     Type = 0x0e // none
	HaveNone    Type = 0x0f // none
	Reject      Type = 0x10 // piece index, begin, length
	AllowedFast Type = 0x11 // piece index
)

// Extended is the message of BEP 10: one byte of extended message id, then
// what that extension defines.
const Extended Type = 20

// KeepAlive stands for the message of length zero, which has no type byte. No
// message on the wire has this type: see [Parse].
const KeepAlive Type = 0xff

// ExtHandshakeID is the extended message id of the extension handshake.
// BEP 10: "If the ID is 0, the message is a handshake message".
const ExtHandshakeID = 0

// MaxBlockLen bounds the block of a piece message in bytes: 128 KiB, the limit
// that clients have long set to a request. Shoal itself asks for
// metainfo.BlockLen.
const MaxBlockLen = 128 << 10

// MaxBitfieldLen bounds the payload of a bitfield message in bytes.
const MaxBitfieldLen = metainfo.MaxPieces / 8

// MaxExtendedLen bounds the payload of an extended message in bytes, its id
// not counted. A metadata message (BEP 9) is a little over 16 KiB, a PEX
// message (BEP 11) a few KiB; 1 MiB is an arbitrary margin.
const MaxExtendedLen = 1 << 20

// MaxUnknownLen bounds the payload of a message whose type this package does
// not know, in bytes. The longest that is defined elsewhere is the hashes
// message of BEP 52, 16 KiB and a little; 64 KiB is an arbitrary margin.
const MaxUnknownLen = 64 << 10

// Message is one message. Which fields have a meaning depends on Type; the
// others are zero. It is a plain value, and small, so that it can be queued
// and copied without allocation.
type Message struct {
	// Type is the type as it stands on the wire, or KeepAlive. A type that
	// this package does not know is not an error: ignore the message.
	Type Type

	// ExtID is the extended message id of an Extended message. Zero is the
	// extension handshake.
	ExtID uint8

	// Index is the piece index of Have, Suggest, AllowedFast, Request,
	// Cancel, Reject and Piece, and the port of Port.
	Index uint32

	// Begin is where the block begins in its piece, and Length is the length
	// of the block, both in bytes: Request, Cancel, Reject and Piece.
	Begin, Length uint32

	// Payload is what follows the fields above: the bits of a Bitfield, the
	// block of a Piece, the rest of an Extended message after its id, and all
	// after the type of an unknown message. A Decoder leaves it nil for a
	// Piece, whose block is then still to be read.
	Payload []byte
}

// maxShownBytes is how much of a bitfield a transcript shows.
const maxShownBytes = 16

// String returns the message as transcripts show it: "choke", "have 7",
// "request 12 16384+16384" (piece index, begin, length), "bitfield f0". It
// never holds bytes of the remote that a terminal would act on.
func (m Message) String() string {
	switch m.Type {
	case Have, Suggest, AllowedFast, Port:
		return fmt.Sprintf("%v %d", m.Type, m.Index)
	case Request, Cancel, Reject, Piece:
		return fmt.Sprintf("%v %d %d+%d", m.Type, m.Index, m.Begin, m.Length)
	case Bitfield:
		if len(m.Payload) > maxShownBytes {
			return fmt.Sprintf("bitfield %x... (%d bytes)", m.Payload[:maxShownBytes], len(m.Payload))
		}
		return fmt.Sprintf("bitfield %x", m.Payload)
	case Extended:
		return fmt.Sprintf("extended %d (%d bytes)", m.ExtID, len(m.Payload))
	}
	if !m.Type.known() {
		return fmt.Sprintf("%v (%d bytes)", m.Type, len(m.Payload))
	}
	return m.Type.String()
}

// typeNames are the words of the BEPs.
var typeNames = [...]string{
	Choke:         "choke",
	Unchoke:       "unchoke",
	Interested:    "interested",
	NotInterested: "not interested",
	Have:          "have",
	Bitfield:      "bitfield",
	Request:       "request",
	Piece:         "piece",
	Cancel:        "cancel",
	Port:          "port",
	Suggest:       "suggest",
	HaveAll:       "have all",
	HaveNone:      "have none",
	Reject:        "reject",
	AllowedFast:   "allowed fast",
	Extended:      "extended",
	KeepAlive:     "keep-alive",
}

// String returns the BEP's word for the type, or "unknown" and its number.
func (t Type) String() string {
	if !t.known() {
		return fmt.Sprintf("unknown %d", uint8(t))
	}
	return typeNames[t]
}

// known reports whether this package has a name for the type.
func (t Type) known() bool { return typeNames[t] != "" }
