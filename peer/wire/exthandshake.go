package wire

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/anacrolix/torrent/bencode"

	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// The names of extension messages that Shoal knows.
const (
	ExtMetadata = "ut_metadata" // BEP 9: the info dictionary, in pieces
	ExtPEX      = "ut_pex"      // BEP 11: peer exchange
)

// What a remote's extension handshake may make us keep. The numbers are
// arbitrary: no client has more than a dozen extensions, and 64 bytes are the
// better part of a line in a terminal.
const (
	MaxExtensions       = 64 // entries of M
	MaxExtensionNameLen = 64 // bytes of a name in M
	MaxClientLen        = 64 // bytes of Client
)

// extHandshakeLimits bounds the scan of an extension handshake: the values of
// all known clients lie two deep and are fewer than fifty.
var extHandshakeLimits = bscan.Limits{Depth: 10, Tokens: 2000}

// ExtHandshake is the extension handshake of BEP 10, the payload of the
// Extended message with id [ExtHandshakeID]. "All items in the dictionary are
// optional": the zero value of a field means that it is absent.
type ExtHandshake struct {
	// M says by which ids the sender wants to get extension messages, in
	// ascending order of the names. It is additive: a name that is absent
	// keeps the id that an earlier handshake gave it, and an id of zero
	// disables the extension.
	M []Extension

	Client       string     // v: name and version of the client, UTF-8 without control characters
	Port         uint16     // p: the sender's TCP listen port
	ReqQ         int        // reqq: requests that the sender lets wait without dropping any
	YourIP       netip.Addr // yourip: how the sender sees the receiver
	IPv4, IPv6   netip.Addr // ipv4, ipv6: addresses of the sender
	MetadataSize int64      // metadata_size (BEP 9): length in bytes of the info dictionary
	UploadOnly   bool       // upload_only (BEP 21): the sender downloads nothing more
	Downloading  bool       // upload_only of zero: it takes that back
}

// Extension is an entry of M.
type Extension struct {
	Name string
	ID   uint8
}

// ID returns the id that the handshake gives to the extension of that name,
// and whether it names the extension at all. An id of zero means that the
// sender does not, or no longer, support it.
func (h ExtHandshake) ID(name string) (id uint8, ok bool) {
	for _, e := range h.M {
		if e.Name == name {
			return e.ID, true
		}
	}
	return 0, false
}

// extDict is the dictionary of an extension handshake as the encoder wants it.
type extDict struct {
	IPv4         string           `bencode:"ipv4,omitempty"`
	IPv6         string           `bencode:"ipv6,omitempty"`
	M            map[string]uint8 `bencode:"m"`
	MetadataSize int64            `bencode:"metadata_size,omitempty"`
	Port         uint16           `bencode:"p,omitempty"`
	ReqQ         int              `bencode:"reqq,omitempty"`
	UploadOnly   *int             `bencode:"upload_only,omitempty"`
	Client       string           `bencode:"v,omitempty"`
	YourIP       string           `bencode:"yourip,omitempty"`
}

// AppendExtHandshake appends the bencoded dictionary of h to b: the payload of
// an Extended message, without its length prefix, type and id.
func AppendExtHandshake(b []byte, h ExtHandshake) []byte {
	d := extDict{
		IPv4:         string(h.IPv4.AsSlice()),
		IPv6:         string(h.IPv6.AsSlice()),
		M:            make(map[string]uint8, len(h.M)),
		MetadataSize: h.MetadataSize,
		Port:         h.Port,
		ReqQ:         h.ReqQ,
		Client:       h.Client,
		YourIP:       string(h.YourIP.AsSlice()),
	}
	for _, e := range h.M {
		d.M[e.Name] = e.ID
	}
	if h.UploadOnly {
		d.UploadOnly = new(1)
	} else if h.Downloading {
		d.UploadOnly = new(0)
	}
	return append(b, bencode.MustMarshal(d)...)
}

// ParseExtHandshake reads the payload of an Extended message with id
// [ExtHandshakeID]. It keeps nothing of b.
//
// The error is a [ProtocolError] if b does not begin with a bencoded
// dictionary of reasonable size, or has a key twice. A field of the wrong type
// or out of its range counts as absent, as do extensions past the bounds of
// this package: BEP 10 makes every item optional, and clients in use have
// disagreed about the types. MetadataSize is as claimed: bound it before use.
func ParseExtHandshake(b []byte) (ExtHandshake, error) {
	v, _, err := scanDict("extension handshake", b, extHandshakeLimits)
	if err != nil {
		return ExtHandshake{}, err
	}
	uploadOnly, ok := v.Get("upload_only").Int()
	return ExtHandshake{
		M:            extensions(v.Get("m")),
		Client:       printable(v.Get("v"), MaxClientLen),
		Port:         uint16(intUpTo(v.Get("p"), math.MaxUint16)),
		ReqQ:         int(intUpTo(v.Get("reqq"), math.MaxInt32)),
		YourIP:       addr(v.Get("yourip"), 4, 16).Unmap(),
		IPv4:         addr(v.Get("ipv4"), 4),
		IPv6:         addr(v.Get("ipv6"), 16),
		MetadataSize: intUpTo(v.Get("metadata_size"), math.MaxInt64),
		UploadOnly:   uploadOnly > 0,
		Downloading:  ok && uploadOnly == 0,
	}, nil
}

// extensions reads the dictionary m. An id that does not fit a byte is none: a
// 300 must not be taken for 44.
func extensions(m bscan.Value) []Extension {
	var list []Extension
	for name, v := range m.Dict() {
		id, ok := v.Int()
		if !ok || id < 0 || id > math.MaxUint8 || len(name) > MaxExtensionNameLen {
			continue
		}
		if len(list) == MaxExtensions {
			break
		}
		list = append(list, Extension{Name: string(name), ID: uint8(id)})
	}
	slices.SortFunc(list, func(a, b Extension) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// intUpTo returns the integer v if it is between 0 and most, else 0.
func intUpTo(v bscan.Value, most int64) int64 {
	n, ok := v.Int()
	if !ok || n < 0 || n > most {
		return 0
	}
	return n
}

// addr returns the address whose bytes v holds, if their number is one of
// lens.
func addr(v bscan.Value, lens ...int) netip.Addr {
	s, _ := v.Str()
	if !slices.Contains(lens, len(s)) {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(s)
	return a
}

// printable returns the string v without what a terminal could act on or hide
// (control, bidirectional and zero-width characters), cut to maxLen bytes.
func printable(v bscan.Value, maxLen int) string {
	s, _ := v.Str()
	var out strings.Builder
	for _, r := range string(s[:min(len(s), maxLen)]) {
		if unicode.IsPrint(r) && out.Len()+utf8.RuneLen(r) <= maxLen {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// scanDict reads the dictionary that the payload of an extension's message
// begins with, and tells how long it is. The error is a [ProtocolError] that
// calls the payload what.
func scanDict(what string, b []byte, limits bscan.Limits) (v bscan.Value, dictLen int, err error) {
	v, report, err := bscan.Scan(b, limits)
	switch {
	case err != nil:
		return v, 0, protocolErrorf("%s: %v", what, err)
	case v.Kind() != bscan.Dict:
		return v, 0, protocolErrorf("%s is not a dictionary", what)
	case report.Duplicate:
		return v, 0, protocolErrorf("%s: %v", what, bscan.ErrDuplicate)
	}
	return v, report.Offset, nil
}
