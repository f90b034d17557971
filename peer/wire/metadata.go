package wire

import (
	"math"
	"strconv"

	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// MetadataPieceLen is the length in bytes of a piece of metadata. BEP 9: "All
// blocks are 16KiB except the last block which may be smaller."
const MetadataPieceLen = 16 << 10

// MetadataType is the "msg_type" of a metadata message.
type MetadataType int64

// The types of BEP 9. "In order to support future extensability, an
// unrecognized message ID MUST be ignored", so others can come.
const (
	MetadataRequest MetadataType = 0
	MetadataData    MetadataType = 1
	MetadataReject  MetadataType = 2
)

// MetadataMessage is a message of the extension [ExtMetadata], BEP 9.
type MetadataMessage struct {
	Type  MetadataType
	Piece int // the index of a piece of MetadataPieceLen bytes

	// TotalSize and Data are those of MetadataData: the length in bytes of the
	// whole info dictionary as claimed, and the piece's bytes, at most
	// MetadataPieceLen.
	TotalSize int64
	Data      []byte
}

// metadataLimits bounds the scan of a metadata message: three integers, and
// room for what others may add.
var metadataLimits = bscan.Limits{Depth: 10, Tokens: 100}

// AppendMetadata appends m to b: the payload of an Extended message, without
// its length prefix, type and id.
func AppendMetadata(b []byte, m MetadataMessage) []byte {
	b = append(b, "d8:msg_typei"...)
	b = strconv.AppendInt(b, int64(m.Type), 10)
	b = append(b, "e5:piecei"...)
	b = strconv.AppendInt(b, int64(m.Piece), 10)
	b = append(b, 'e')
	if m.Type == MetadataData {
		b = append(b, "10:total_sizei"...)
		b = strconv.AppendInt(b, m.TotalSize, 10)
		b = append(b, 'e')
	}
	b = append(b, 'e')
	return append(b, m.Data...)
}

// ParseMetadata reads the payload of an Extended message of the extension
// [ExtMetadata]. Data is a part of b, not a copy.
//
// The error is a [ProtocolError] if b does not begin with a dictionary that has
// the keys of the BEP as integers, with a piece index from 0 to 2^31-1, or if
// there are more bytes behind it than a piece has. Of a type that is not known
// only Type is set. Whether piece and size fit each other, and what we know of
// the torrent, is for the engine to say.
func ParseMetadata(b []byte) (MetadataMessage, error) {
	v, dictLen, err := scanDict("metadata message", b, metadataLimits)
	if err != nil {
		return MetadataMessage{}, err
	}
	kind, ok := v.Get("msg_type").Int()
	if !ok {
		return MetadataMessage{}, protocolErrorf("metadata message without a type")
	}
	m := MetadataMessage{Type: MetadataType(kind)}
	if kind < int64(MetadataRequest) || kind > int64(MetadataReject) {
		return m, nil
	}
	piece, ok := v.Get("piece").Int()
	if !ok || piece < 0 || piece > math.MaxInt32 {
		return MetadataMessage{}, protocolErrorf("metadata message without a piece")
	}
	m.Piece = int(piece)
	if m.Type != MetadataData {
		return m, nil
	}
	if m.TotalSize, ok = v.Get("total_size").Int(); !ok || m.TotalSize <= 0 {
		return MetadataMessage{}, protocolErrorf("metadata without its total size")
	}
	if m.Data = b[dictLen:]; len(m.Data) > MetadataPieceLen {
		return MetadataMessage{}, protocolErrorf("metadata piece of %d bytes", len(m.Data))
	}
	return m, nil
}
