package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Source says where a peer's address came from.
type Source uint8

// The sources of addresses.
const (
	SourceUnknown Source = iota
	SourceTracker
	SourceUser     // named on the command line or in a magnet link
	SourceIncoming // the peer connected to us
	SourceDHT
	SourcePEX
)

// InputKind says what happened.
type InputKind uint8

// The inputs. Each comment names the fields that it uses.
const (
	// InConnUp: a connection finished its handshake. Conn, which no other
	// connection had before, Addr, PeerID,
	// Fast, Extended, DHT, Incoming; Source for an incoming one is ignored.
	// Or, with WebSeed, a web seed can be asked (BEP 19): Conn, and PeerID, by
	// which it is known if it comes again. It is sent requests and cancels only, each
	// request is answered by the block or, if it was cancelled, by a reject,
	// and when it fails, InConnDown frees what it was asked for.
	InConnUp InputKind = iota + 1
	// InConnDown: a connection is gone, for whatever reason, also when the
	// engine asked for it by OutClose. Conn.
	InConnDown
	// InMessage: a message other than a piece arrived. Conn, Message. The
	// payload is read during Receive and not kept.
	InMessage
	// InBlock: a block arrived. Conn, Piece, Begin, Length, and Claimed if its
	// bytes are in the assembly (the reader won the slot); if it did not, they
	// are lost and the block must be asked for again.
	InBlock
	// InCredit: the connection's transport took Length bytes of blocks, or of
	// messages that were paid for, and can take as many more. A new connection starts with no credit. Conn,
	// Length.
	InCredit
	// InVerified: piece Piece was hashed; OK says that it matched and is
	// stored. Digests are the SHA-1 of each block: always if it did not match,
	// and if the Output asked for them.
	InVerified
	// InStoreFailed: piece Piece matched but could not be stored (a full
	// disk). The engine asks for nothing more until InStoreReady.
	InStoreFailed
	// InStoreReady: the store can be written again; pieces that failed are
	// handed out once more.
	InStoreReady
	// InPeers: addresses of peers were found. Addrs, Source.
	InPeers
	// InDialFailed: a dial ended without a connection. Addr.
	InDialFailed
	// InGeometry: the metadata is known (a torrent that began as a magnet
	// link): the driver's answer to OutMetadata. Geometry, Have (may be nil),
	// Want (nil for all), Private.
	InGeometry
	// InWant: the selection of pieces changed. Want (nil for all).
	InWant
	// InLimits: the grants or Config.UploadCapacity changed. Length is the new
	// upload capacity in bytes/s, 0 for unknown.
	InLimits
)

// Input is one thing that happened, a tagged struct: Kind says which fields
// count.
type Input struct {
	Kind     InputKind
	Conn     *Conn
	Source   Source
	Fast     bool // the Fast Extension was negotiated (BEP 6)
	Extended bool // the extension protocol was negotiated (BEP 10)
	DHT      bool // the peer's handshake says that it has a DHT node (BEP 5)
	WebSeed  bool // no peer, but an HTTP server (BEP 19)
	Private  bool // what the metadata said (BEP 27)
	Incoming bool
	Claimed  bool
	OK       bool

	Piece, Begin, Length int

	Addr     netip.AddrPort
	PeerID   metainfo.PeerID
	Message  wire.Message
	Addrs    []netip.AddrPort
	Digests  [][20]byte
	Geometry metainfo.Geometry
	Have     *bitfield.Set // the engine takes it over
	Want     *bitfield.Set // the engine takes it over
}

// OutputKind says what the engine wants done.
type OutputKind uint8

// The outputs. Each comment names the fields that it uses.
const (
	// OutMessage: send Message on Conn, in the order of the outputs. The
	// payload is valid until the next call of Receive or Advance. Length is
	// what it was paid from the connection's credit: 0 but for a piece of
	// metadata (BEP 9).
	OutMessage OutputKind = iota + 1
	// OutHave: send "have Piece" on every connection to a peer that is up.
	OutHave
	// OutBlock: send the block Piece, Begin, Length on Conn, behind the
	// messages before it. It was paid from the connection's credit.
	OutBlock
	// OutOpen: piece Piece is being downloaded; its slots may be claimed.
	OutOpen
	// OutDiscard: the block Piece, Begin, whose bytes are in the assembly,
	// was not asked of who sent it; its slot is free again.
	OutDiscard
	// OutVerify: every block of piece Piece is here. Hash it; if it matches,
	// store it; answer InVerified (with the blocks' digests if Digests) or
	// InStoreFailed. When it did not match, drop it from the assembly: if it
	// is still wanted, OutOpen comes again.
	OutVerify
	// OutDrop: piece Piece is no longer being downloaded (deselected); its
	// memory can go.
	OutDrop
	// OutSpill: memory is short; move what has arrived of piece Piece to the
	// store.
	OutSpill
	// OutDial: connect to Addr. Answer InConnUp, or InDialFailed.
	OutDial
	// OutClose: close Conn; Reason says why, in a few words. InConnDown
	// follows from the driver.
	OutClose
	// OutCompleted: every wanted piece is verified and stored. It comes once,
	// and again only if more becomes wanted and is completed.
	OutCompleted
	// OutNeedPeers: too few addresses are known; announce sooner if the rules
	// of the source allow.
	OutNeedPeers
	// OutMetadata: the metadata of a magnet link is here. Metadata is the info
	// dictionary, whose SHA-1 is the info-hash; the engine keeps it and serves
	// it, so it must not be changed. Parse it and answer InGeometry, or stop the
	// torrent. It comes once.
	OutMetadata
	// OutNode: a peer has a DHT node at Addr, by its message "port" (BEP 5).
	// Nobody has checked that: ping it.
	OutNode
)

// Output is one thing to do, a tagged struct like Input.
type Output struct {
	Kind    OutputKind
	Digests bool
	Conn    *Conn

	Piece, Begin, Length int

	Addr     netip.AddrPort
	Message  wire.Message
	Metadata []byte
	Reason   string
}

// Grants is what an engine may take of what its process shares among torrents.
// peer/quota implements it; it answers at once and is as deterministic as the
// engine. All byte counts are payload bytes.
type Grants interface {
	// Upload asks to send want bytes now. It grants 0 to want bytes, and if
	// fewer than want, the time to ask again.
	Upload(now time.Duration, want int) (granted int, again time.Duration)
	// Download asks to request want bytes now, like Upload.
	Download(now time.Duration, want int) (granted int, again time.Duration)
	// Slots says how many of the want upload slots the torrent may fill.
	Slots(now time.Duration, want int) int
	// Connect asks for one more connection, Dial for one that first is half
	// open; each is given back once, by Disconnect and by DialDone.
	Connect(now time.Duration) bool
	Disconnect(now time.Duration)
	// Dial grants a half-open dial. DialDone ends it, whatever came of it.
	Dial(now time.Duration) bool
	DialDone(now time.Duration)
	// Buffer asks for want more bytes of block memory and says whether they
	// may be had; Unbuffer returns n bytes.
	Buffer(now time.Duration, want int) bool
	Unbuffer(now time.Duration, n int)
}
