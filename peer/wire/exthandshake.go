package wire

import "net/netip"

// The names of extension messages that Shoal knows.
const (
	ExtMetadata = "ut_metadata" // BEP 9: the info dictionary, in pieces
	ExtPEX      = "ut_pex"      // BEP 11: peer exchange
)

// MaxExtensions bounds the entries of an ExtHandshake's M: an extension has
// one of 255 ids, and no client has more than a dozen.
const MaxExtensions = 64

// MaxClientLen bounds the Client of an ExtHandshake in bytes. It is arbitrary,
// and enough for a line of a terminal.
const MaxClientLen = 64

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
