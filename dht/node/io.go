package node

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// LookupID names one lookup, or one query of the driver's. The driver chooses it, never twice, and neither 0
// nor one of the two highest, which are the node's own.
type LookupID uint32

// InputKind says what happened.
type InputKind uint8

// The inputs. Each comment names the fields that it uses.
const (
	// InPacket: a packet arrived. Addr, Packet. Packet is read during Receive
	// and not kept.
	InPacket InputKind = iota + 1
	// InNodes: addresses of nodes were found: saved ones, routers, a
	// torrent's "nodes", a peer's port message. Addrs.
	InNodes
	// InLookup: start a lookup. Lookup, Request.
	InLookup
	// InCancel: end a lookup or a query without a further output of it. Lookup.
	InCancel
	// InQuery: send a single query, and answer with OutAnswer. Lookup names it,
	// as one of the lookups; Addr, Query: the method and its arguments.
	InQuery
	// InSaved: these nodes were in the table of an earlier session. Nodes.
	InSaved
)

// Input is one thing that happened, a tagged struct: Kind says which fields
// count.
type Input struct {
	Kind    InputKind
	Lookup  LookupID
	Addr    netip.AddrPort
	Packet  []byte
	Addrs   []netip.AddrPort
	Request *Request // the node takes it over
	Query   *krpc.Message
	Nodes   []krpc.Node
}

// Request is what a lookup is for. It walks to the nodes that are closest to
// Target and asks each on the way by Method: FindNode, GetPeers, Get or
// SampleInfohashes.
type Request struct {
	Method krpc.Method
	Target krpc.ID
	Scrape bool // BEP 33, with GetPeers
	NoSeed bool // BEP 33, with GetPeers
	Seq    int64
	HasSeq bool // BEP 44, with Get: values that are not newer than Seq are not sent

	// Store makes the eight closest nodes that answered store something: with
	// GetPeers ourselves as a peer of the torrent (Port, or ImpliedPort for
	// the port that our packets come from; Seed), with Get the Item.
	Store       bool
	Port        uint16
	ImpliedPort bool
	Seed        bool
	Item        *Item
}

// Item is a stored value of BEP 44: immutable if Key is nil.
type Item struct {
	Value  []byte // bencoded, at most krpc.MaxValueLen bytes
	Key    []byte // krpc.KeyLen bytes
	Salt   []byte // at most krpc.MaxSaltLen bytes
	Sig    []byte // krpc.SignatureLen bytes
	Seq    int64
	CAS    int64 // the Seq to be replaced, if HasCAS
	HasCAS bool
}

// OutputKind says what the node wants done.
type OutputKind uint8

// The outputs. Each comment names the fields that it uses.
const (
	// OutPacket: send Packet to Addr. It is valid until the next call of
	// Receive or Advance.
	OutPacket OutputKind = iota + 1
	// OutReply: the lookup got an answer with something in it: Peers, Item
	// (verified, with the Key but without the Salt), or Samples. Lookup, Addr.
	OutReply
	// OutConverged: the eight closest nodes that are not silent have answered,
	// in every address family. Retries of the silent and storing may go on.
	// Lookup, Result.
	OutConverged
	// OutDone: the lookup is over. Lookup, Result.
	OutDone
	// OutReady: the node has joined: a lookup of its own id has converged and
	// the table is not empty. Once.
	OutReady
	// OutIdentity: enough nodes agree on our external address that the id was
	// changed to fit it (BEP 42). Addr has the address, port 0; NodeID tells
	// the id.
	OutIdentity
	// OutAnswer: the answer to an InQuery; Answer is nil if there was none
	// within five seconds, or the query could not be sent. Lookup, Addr, Answer.
	OutAnswer
)

// Output is one thing to do, a tagged struct: Kind says which fields count.
type Output struct {
	Kind   OutputKind
	Lookup LookupID
	Addr   netip.AddrPort
	Packet []byte
	Reply  *Reply
	Result *Result
	Answer *Answer
}

// Reply is what one node answered to a lookup.
type Reply struct {
	Peers      []netip.AddrPort
	Item       *Item
	Samples    []krpc.ID
	NumSamples int64         // info-hashes in that node's store
	Interval   time.Duration // for which its Samples do not change, and lookups do not ask for them again (BEP 51)
}

// Result is what a lookup came to.
type Result struct {
	Converged time.Duration // from the start to OutConverged

	Closest []krpc.Node // at most eight of each address family that answered, the closest first
	Queries int         // sent, retries included, announces not
	Stored  int         // nodes that confirmed the announce or the put
	Refused int         // nodes that answered it by an error
	// Refusal is the error with the highest code of those: 301 and 302 say that
	// another put came first (BEP 44). The text is a stranger's, and cut.
	Refusal  *krpc.Refusal
	Seeds    *krpc.Filter // with Scrape: the union of what nodes counted (BEP 33)
	Leechers *krpc.Filter // with Scrape: the others, and peers of which nobody said what they are
}
