package wire

import "encoding/binary"

// Lengths in bytes, length prefix included, of what stands before the
// variable part of a message.
const (
	prefixLen     = 4             // the length prefix alone
	typeHeaderLen = prefixLen + 1 // and the type
	extHeaderLen  = prefixLen + 2 // and the extended message id

	// PieceHeaderLen is the length in bytes of what AppendPieceHeader
	// appends: all of a piece message before its block.
	PieceHeaderLen = prefixLen + 9
)

// maxFixedLen is the length in bytes of the longest message without a
// variable part: request, cancel and reject.
const maxFixedLen = prefixLen + 13

// maxPrefix is the greatest length prefix that any type allows: that of an
// extended message.
const maxPrefix = 2 + MaxExtendedLen

// Append appends the message to b, length prefix included, and returns the
// extended slice. The length of a Piece is that of its Payload; if that is
// nil, only the header is appended and m.Length bytes of block are to follow.
// Append does not check the message: what is longer than [Parse] allows is
// refused by the peer that gets it.
func Append(b []byte, m Message) []byte {
	switch m.Type {
	case KeepAlive:
		return append(b, 0, 0, 0, 0)
	case Have, Suggest, AllowedFast:
		b = appendHeader(b, m.Type, 4)
		return binary.BigEndian.AppendUint32(b, m.Index)
	case Request, Cancel, Reject:
		b = appendHeader(b, m.Type, 12)
		b = binary.BigEndian.AppendUint32(b, m.Index)
		b = binary.BigEndian.AppendUint32(b, m.Begin)
		return binary.BigEndian.AppendUint32(b, m.Length)
	case Piece:
		if m.Payload != nil {
			m.Length = uint32(len(m.Payload))
		}
		b = AppendPieceHeader(b, m.Index, m.Begin, m.Length)
		return append(b, m.Payload...)
	case Port:
		b = appendHeader(b, Port, 2)
		return binary.BigEndian.AppendUint16(b, uint16(m.Index))
	case Extended:
		b = appendHeader(b, Extended, 1+len(m.Payload))
		b = append(b, m.ExtID)
		return append(b, m.Payload...)
	default:
		// The types without a payload, the bitfield, and what is unknown.
		b = appendHeader(b, m.Type, len(m.Payload))
		return append(b, m.Payload...)
	}
}

// AppendPieceHeader appends the PieceHeaderLen bytes that precede the block
// of a piece message: blockLen bytes of pieceIndex, from begin. It lets the
// block itself be written from where it lies.
func AppendPieceHeader(b []byte, pieceIndex, begin, blockLen uint32) []byte {
	b = appendHeader(b, Piece, 8+int(blockLen))
	b = binary.BigEndian.AppendUint32(b, pieceIndex)
	return binary.BigEndian.AppendUint32(b, begin)
}

// appendHeader appends the length prefix and the type of a message with
// payloadLen bytes after its type.
func appendHeader(b []byte, t Type, payloadLen int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+payloadLen))
	return append(b, byte(t))
}

// Parse reads the message at the beginning of b and returns what follows it.
// The payload is part of b, not a copy. The error is [ErrShort] if b ends
// before the message does, and a [ProtocolError] if the length of the message
// is not one that its type allows, which is known before the message is whole.
//
// A message of an unknown type is returned with its payload: BEP 3 and its
// extensions let a peer ignore what it does not know. The type 255, which
// this package uses for KeepAlive, is defined by no BEP and refused.
func Parse(b []byte) (m Message, rest []byte, err error) {
	m, headerLen, payloadLen, err := parseHeader(b)
	if err != nil {
		return Message{}, b, err
	}
	messageLen := headerLen + payloadLen
	if len(b) < messageLen {
		return Message{}, b, ErrShort
	}
	if m.Type.hasPayload() {
		m.Payload = b[headerLen:messageLen:messageLen]
	}
	return m, b[messageLen:], nil
}

// parseHeader reads the part of a message that has a fixed length: headerLen
// bytes, after which payloadLen bytes of payload follow. The errors are those
// of Parse.
func parseHeader(b []byte) (m Message, headerLen, payloadLen int, err error) {
	if len(b) < prefixLen {
		return m, 0, 0, ErrShort
	}
	prefix := binary.BigEndian.Uint32(b)
	if prefix == 0 {
		return Message{Type: KeepAlive}, prefixLen, 0, nil
	}
	if prefix > maxPrefix {
		return m, 0, 0, protocolErrorf("message of %d bytes", prefix)
	}
	if len(b) < typeHeaderLen {
		return m, 0, 0, ErrShort
	}
	m.Type = Type(b[prefixLen])
	least, most := m.Type.prefixBounds()
	if prefix < least || prefix > most {
		return m, 0, 0, protocolErrorf("%v message of %d bytes", m.Type, prefix)
	}
	headerLen = prefixLen + int(least)
	if m.Type == Piece {
		headerLen = PieceHeaderLen // least counts one byte of the block
	}
	if len(b) < headerLen {
		return m, 0, 0, ErrShort
	}
	payloadLen = prefixLen + int(prefix) - headerLen
	m.parseFields(b[typeHeaderLen:headerLen], payloadLen)
	return m, headerLen, payloadLen, nil
}

// prefixBounds returns the least and the greatest length prefix that a
// message of the type may have.
func (t Type) prefixBounds() (least, most uint32) {
	switch t {
	case Choke, Unchoke, Interested, NotInterested, HaveAll, HaveNone:
		return 1, 1
	case Have, Suggest, AllowedFast:
		return 5, 5
	case Request, Cancel, Reject:
		return 13, 13
	case Port:
		return 3, 3
	case Piece:
		return 9 + 1, 9 + MaxBlockLen // an empty block answers no request
	case Bitfield:
		return 1, 1 + MaxBitfieldLen
	case Extended:
		return 2, 2 + MaxExtendedLen
	case KeepAlive:
		return 1, 0 // not a type of the wire: no length is right
	default:
		return 1, 1 + MaxUnknownLen
	}
}

// parseFields sets the fields of m from the bytes between the type and the
// payload, whose number prefixBounds has fixed.
func (m *Message) parseFields(b []byte, payloadLen int) {
	switch m.Type {
	case Have, Suggest, AllowedFast:
		m.Index = binary.BigEndian.Uint32(b)
	case Request, Cancel, Reject:
		m.Index = binary.BigEndian.Uint32(b)
		m.Begin = binary.BigEndian.Uint32(b[4:])
		m.Length = binary.BigEndian.Uint32(b[8:])
	case Piece:
		m.Index = binary.BigEndian.Uint32(b)
		m.Begin = binary.BigEndian.Uint32(b[4:])
		m.Length = uint32(payloadLen)
	case Port:
		m.Index = uint32(binary.BigEndian.Uint16(b))
	case Extended:
		m.ExtID = b[0]
	}
}

// hasPayload reports whether messages of the type have a variable part. An
// unknown type has.
func (t Type) hasPayload() bool {
	least, most := t.prefixBounds()
	return least < most
}
