package krpc

import (
	"encoding/hex"
	"iter"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo/bscan"
	"github.com/shoal-bt/shoal/metainfo/compact"
)

// ID is a place in the key space: a node id, an info-hash or the target of a
// stored item; 20 bytes, a big-endian number (BEP 5).
type ID [20]byte

// String returns the 40 lower-case hexadecimal digits of id.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Kind is the type of a message, its y.
type Kind uint8

// The kinds of BEP 5. The zero Kind is none of them.
const (
	Query Kind = iota + 1
	Response
	Error
)

// Method is what a query asks for, its q.
type Method uint8

// The methods of BEP 5, 44 and 51. Unknown is any other one that names a
// target: what nodes do with a future extension's query is answer it like
// find_node, so that it can be routed through them.
const (
	Ping Method = iota + 1
	FindNode
	GetPeers
	AnnouncePeer
	Get
	Put
	SampleInfohashes
	Unknown
)

var methodNames = [...]string{
	Ping: "ping", FindNode: "find_node", GetPeers: "get_peers", AnnouncePeer: "announce_peer",
	Get: "get", Put: "put", SampleInfohashes: "sample_infohashes", Unknown: "unknown",
}

// String returns the name as it stands in a packet.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return ""
}

func parseMethod(name []byte) Method {
	switch string(name) {
	case "ping":
		return Ping
	case "find_node":
		return FindNode
	case "get_peers":
		return GetPeers
	case "announce_peer":
		return AnnouncePeer
	case "get":
		return Get
	case "put":
		return Put
	case "sample_infohashes":
		return SampleInfohashes
	}
	return Unknown
}

// Want is the address families of nodes that a query asks for (BEP 32).
type Want uint8

// The families. The zero Want is a query without "want": the family that it
// was sent over.
const (
	WantNodes4 Want = 1 << iota
	WantNodes6
	// WantOther marks a list with nothing that is known, or nothing at all.
	// It asks for neither family.
	WantOther
)

// The bounds of what is parsed.
const (
	MaxTransactionLen = 32          // bytes; BEP 5: "typically 2 characters are enough"; others send up to 20
	MaxTokenLen       = 64          // bytes; BEP 5: "a short binary string"; others send up to 20
	MaxSaltLen        = 64          // bytes; BEP 44: "MUST NOT be longer than 64 bytes"
	MaxValueLen       = 1000        // bytes of the bencoded form; BEP 44
	MaxInterval       = 6 * 60 * 60 // seconds; BEP 51: "between 0 and 21600 seconds (inclusive)"
	KeyLen            = 32          // bytes of an ed25519 public key
	SignatureLen      = 64          // bytes of an ed25519 signature
	FilterLen         = 256         // bytes of a Bloom filter of BEP 33

	maxTokens = 4096 // of bencode; a full packet of integers has fewer
)

// Message is one packet. Its slices are views of the packet that was parsed,
// or of the caller's memory when it is to be appended; nil means absent.
type Message struct {
	Kind        Kind
	ReadOnly    bool           // ro: the sender answers no queries (BEP 43)
	Transaction []byte         // t: 1 to MaxTransactionLen bytes
	Version     []byte         // v: BEP 20's client and version
	External    netip.AddrPort // ip: where the sender of a response saw the query come from (BEP 42)

	ID ID // the sender; not in an Error

	// Of queries. Target is "info_hash" in get_peers and announce_peer,
	// "target" in find_node, get and sample_infohashes, absent from ping and
	// put; of Unknown it is whichever was there.
	Method      Method
	Want        Want // BEP 32
	Target      ID
	Port        uint16 // announce_peer; 0 if ImpliedPort and none was given
	ImpliedPort bool   // "the source port of the UDP packet should be used"
	Seed        bool   // BEP 33, announce_peer
	NoSeed      bool   // BEP 33, get_peers
	Scrape      bool   // BEP 33, get_peers
	HasCAS      bool
	CAS         int64  // BEP 44, put
	Salt        []byte // BEP 44, put: at most MaxSaltLen bytes

	// Of responses.
	Nodes, Nodes6 []byte // compact nodes: see AllNodes
	Values        Values // peers
	BFsd, BFpe    []byte // FilterLen bytes each: seeds and other peers (BEP 33)
	Samples       []byte // info-hashes, 20 bytes each (BEP 51)
	Num           int64  // info-hashes in store; beside Samples
	Interval      int64  // seconds until Samples change, at most MaxInterval; beside Samples

	// Of queries and responses.
	Token  []byte // 1 to MaxTokenLen bytes
	Value  []byte // BEP 44: the bencoded v, at most MaxValueLen bytes
	Key    []byte // BEP 44: KeyLen bytes
	Sig    []byte // BEP 44: SignatureLen bytes
	HasSeq bool
	Seq    int64 // BEP 44: not negative

	// Of errors.
	Code int
	Text []byte
}

// Answerable reports whether a packet that Parse refused can be answered by
// an error: it is a query that said how to name the answer. Errors to
// anything else could be made to bounce between two nodes for ever.
func (m *Message) Answerable() bool { return m.Kind == Query && m.Transaction != nil }

// Node is a node as others describe it (BEP 5, "Contact Encoding").
type Node struct {
	ID   ID
	Addr netip.AddrPort
}

// NodeLen4 and NodeLen6 are the bytes of one compact node.
const (
	NodeLen4 = len(ID{}) + compact.Len4
	NodeLen6 = len(ID{}) + compact.Len6
)

// AppendNode appends n as compact node info: NodeLen4 bytes, or NodeLen6 for
// an IPv6 address.
func AppendNode(b []byte, n Node) []byte { return compact.Append(append(b, n.ID[:]...), n.Addr) }

// AllNodes yields the nodes of Nodes and Nodes6 that belong there: an IPv4
// address mapped into nodes6 would be counted in both networks.
func (m *Message) AllNodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for b := m.Nodes; len(b) >= NodeLen4; b = b[NodeLen4:] {
			if !yield(Node{ID(b[:20]), addrPort(b[20:NodeLen4])}) {
				return
			}
		}
		for b := m.Nodes6; len(b) >= NodeLen6; b = b[NodeLen6:] {
			n := Node{ID(b[:20]), addrPort(b[20:NodeLen6])}
			if !n.Addr.Addr().Is4In6() && !yield(n) {
				return
			}
		}
	}
}

// addrPort reads one compact address of 6 or 18 bytes.
func addrPort(b []byte) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(b[:len(b)-2])
	return netip.AddrPortFrom(ip, uint16(b[len(b)-2])<<8|uint16(b[len(b)-1]))
}

// Values is a list of peers as it stands in a packet, without the brackets:
// bencoded strings of 6 or 18 bytes, one after the other.
type Values []byte

// Append appends one peer, as 6 bytes for IPv4 (also mapped into IPv6) and
// 18 for IPv6. An invalid address appends nothing.
func (v Values) Append(addr netip.AddrPort) Values {
	switch ip := addr.Addr().Unmap(); {
	case ip.Is4():
		return compact.Append(append(v, "6:"...), addr)
	case ip.Is6():
		return compact.Append(append(v, "18:"...), addr)
	}
	return v
}

// All yields the peers. BEP 32: "must be able to properly parse hybrid
// 'values' lists".
func (v Values) All() iter.Seq[netip.AddrPort] {
	return func(yield func(netip.AddrPort) bool) {
		for b := []byte(v); len(b) > 0; {
			head, addrLen := 2, compact.Len4
			if b[0] == '1' {
				head, addrLen = 3, compact.Len6
			}
			addr := addrPort(b[head : head+addrLen])
			if !yield(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())) {
				return
			}
			b = b[head+addrLen:]
		}
	}
}

// parseValues checks the list and returns its inside.
func parseValues(v bscan.Value) (Values, bool) {
	if v.Kind() != bscan.List {
		return nil, false
	}
	for element := range v.List() {
		if s, _ := element.Str(); len(s) != compact.Len4 && len(s) != compact.Len6 {
			return nil, false
		}
	}
	b := v.Bytes()
	return Values(b[1 : len(b)-1 : len(b)-1]), true
}
