package udp

import (
	"encoding/binary"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// AnnounceRequest is what an announce request has behind its header.
type AnnounceRequest struct {
	InfoHash metainfo.InfoHash
	PeerID   metainfo.PeerID

	// Downloaded, Left and Uploaded are bytes. They are what came: a Left
	// below zero is that of a client which does not know.
	Downloaded, Left, Uploaded int64

	Event tracker.Event

	// IP is the address that the peer would like to be known by, zero for
	// that of the packet. "Most trackers will only honor the IP address field
	// under limited circumstances", and over IPv6 it means nothing.
	IP [4]byte

	Key     uint32
	NumWant int32 // negative leaves it to the tracker
	Port    uint16
}

// AppendAnnounceRequest appends r to b, behind the header that is there
// already. Options may follow (AppendURLData).
func AppendAnnounceRequest(b []byte, r *AnnounceRequest) []byte {
	b = append(b, r.InfoHash[:]...)
	b = append(b, r.PeerID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Downloaded))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Left))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Uploaded))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Event))
	b = append(b, r.IP[:]...)
	b = binary.BigEndian.AppendUint32(b, r.Key)
	b = binary.BigEndian.AppendUint32(b, uint32(r.NumWant))
	return binary.BigEndian.AppendUint16(b, r.Port)
}

// ParseAnnounceRequest reads the body of an announce request into r and returns
// the options behind it (see ParseURLData); r keeps nothing of body. An event
// that BEP 15 does not know is read as none: such an announce is still a sign
// of life. The error is ErrShort.
func ParseAnnounceRequest(body []byte, r *AnnounceRequest) (options []byte, err error) {
	const bodyLen = AnnounceRequestLen - RequestHeaderLen
	if len(body) < bodyLen {
		return nil, ErrShort
	}
	r.InfoHash = metainfo.InfoHash(body)
	r.PeerID = metainfo.PeerID(body[20:])
	r.Downloaded = int64(binary.BigEndian.Uint64(body[40:]))
	r.Left = int64(binary.BigEndian.Uint64(body[48:]))
	r.Uploaded = int64(binary.BigEndian.Uint64(body[56:]))
	r.Event = tracker.None
	if event := binary.BigEndian.Uint32(body[64:]); event <= uint32(tracker.Stopped) {
		r.Event = tracker.Event(event)
	}
	r.IP = [4]byte(body[68:])
	r.Key = binary.BigEndian.Uint32(body[72:])
	r.NumWant = int32(binary.BigEndian.Uint32(body[76:]))
	r.Port = binary.BigEndian.Uint16(body[80:])
	return body[bodyLen:], nil
}

// AnnounceResponse is what an announce response has behind its header and
// before its peers.
type AnnounceResponse struct {
	IntervalSec uint32 // "Do not announce again until interval seconds have passed"
	Leechers    uint32
	Seeders     uint32
}

// AppendAnnounceResponse appends r to b, behind the header that is there
// already. The peers follow (compact.Append).
func AppendAnnounceResponse(b []byte, r AnnounceResponse) []byte {
	b = binary.BigEndian.AppendUint32(b, r.IntervalSec)
	b = binary.BigEndian.AppendUint32(b, r.Leechers)
	return binary.BigEndian.AppendUint32(b, r.Seeders)
}

// ParseAnnounceResponse reads the body of an announce response and returns the
// peers behind it, compact.Len4 or compact.Len6 bytes each; the last may be
// cut off. The error is ErrShort.
func ParseAnnounceResponse(body []byte) (r AnnounceResponse, peers []byte, err error) {
	const bodyLen = AnnounceResponseLen - ResponseHeaderLen
	if len(body) < bodyLen {
		return r, nil, ErrShort
	}
	r.IntervalSec = binary.BigEndian.Uint32(body)
	r.Leechers = binary.BigEndian.Uint32(body[4:])
	r.Seeders = binary.BigEndian.Uint32(body[8:])
	return r, body[bodyLen:], nil
}
