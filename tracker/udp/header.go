package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ProtocolID stands in a connect request where the connection id stands in
// others (BEP 15: "0x41727101980 // magic constant").
const ProtocolID = 0x41727101980

// Action says what a packet is.
type Action uint32

// The actions of BEP 15. Error is one of responses only.
const (
	Connect Action = iota
	Announce
	Scrape
	Error
)

var actionNames = [...]string{"connect", "announce", "scrape", "error"}

// String returns the action's name in BEP 15.
func (a Action) String() string {
	if int64(a) < int64(len(actionNames)) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint32(a))
}

// Lengths of packets and of their parts, in bytes.
const (
	// RequestHeaderLen is that of a connect request, too.
	RequestHeaderLen = 16
	// ResponseHeaderLen is that of an error without a message, too.
	ResponseHeaderLen = 8
	// ConnectResponseLen is that of a whole connect response.
	ConnectResponseLen = 16
	// AnnounceRequestLen is that of a whole announce request without options.
	AnnounceRequestLen = 98
	// AnnounceResponseLen is that of a whole announce response without peers.
	AnnounceResponseLen = 20
	// ScrapeStatsLen is what each torrent adds to a scrape response.
	ScrapeStatsLen = 12
)

// ErrShort says that a packet ends before its format does.
var ErrShort = errors.New("the packet is cut off")

// RequestHeader is the beginning of every request.
type RequestHeader struct {
	ConnectionID  uint64 // ProtocolID in a connect request
	Action        Action
	TransactionID uint32 // chosen at random by the client, repeated by the tracker
}

// AppendRequestHeader appends h to b: RequestHeaderLen bytes.
func AppendRequestHeader(b []byte, h RequestHeader) []byte {
	b = binary.BigEndian.AppendUint64(b, h.ConnectionID)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Action))
	return binary.BigEndian.AppendUint32(b, h.TransactionID)
}

// ParseRequestHeader reads the header at the beginning of b and returns what
// follows it. The error is ErrShort. Whether the connection id is right, and the
// action one that a client may ask for, is for the caller to see.
func ParseRequestHeader(b []byte) (h RequestHeader, body []byte, err error) {
	if len(b) < RequestHeaderLen {
		return h, nil, ErrShort
	}
	h.ConnectionID = binary.BigEndian.Uint64(b)
	h.Action = Action(binary.BigEndian.Uint32(b[8:]))
	h.TransactionID = binary.BigEndian.Uint32(b[12:])
	return h, b[RequestHeaderLen:], nil
}

// ResponseHeader is the beginning of every response.
type ResponseHeader struct {
	Action        Action
	TransactionID uint32 // that of the request
}

// AppendResponseHeader appends h to b: ResponseHeaderLen bytes. Behind that of
// an Error comes its message, as bytes to the end of the packet.
func AppendResponseHeader(b []byte, h ResponseHeader) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(h.Action))
	return binary.BigEndian.AppendUint32(b, h.TransactionID)
}

// ParseResponseHeader reads the header at the beginning of b and returns what
// follows it: of an Error, the message. The error is ErrShort.
func ParseResponseHeader(b []byte) (h ResponseHeader, body []byte, err error) {
	if len(b) < ResponseHeaderLen {
		return h, nil, ErrShort
	}
	h.Action = Action(binary.BigEndian.Uint32(b))
	h.TransactionID = binary.BigEndian.Uint32(b[4:])
	return h, b[ResponseHeaderLen:], nil
}

// AppendConnectionID appends what a connect response has behind its header.
func AppendConnectionID(b []byte, id uint64) []byte { return binary.BigEndian.AppendUint64(b, id) }

// ParseConnectionID reads what a connect response has behind its header. The
// error is ErrShort.
func ParseConnectionID(body []byte) (id uint64, err error) {
	if len(body) < ConnectResponseLen-ResponseHeaderLen {
		return 0, ErrShort
	}
	return binary.BigEndian.Uint64(body), nil
}
