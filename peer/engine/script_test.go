package engine

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what the engine does into testdata/*.txt instead of comparing")

// TestScripts runs the protocol transcripts in testdata. A line is an input, a
// comment (#), or, beginning with "<", an output that the input before it must
// produce:
//
//	torrent PIECES PIECELEN [have=HEX] [want=HEX] [up=RATE] [slots=N] [fast=N] [peers=N] [memory=BLOCKS] [magnet] [private]
//	    [metadata=BYTES] [nopex] [node=PORT] [port=PORT] [seed=N] [below=RATE]
//	geometry [have=HEX] [private]   the metadata of a magnet is understood
//	up ID ADDR [fast] [ext] [dht] [in] [as=PEERID]
//	web-seed ID [as=PEERID]
//	down ID
//	ID> MESSAGE                 a message of peer ID, as wire.Message prints it
//	ID> handshake [ut_metadata=EXTID] [ut_pex=EXTID] [size=BYTES] [p=PORT] [upload_only=0|1]
//	    [yourip=IP]
//	ID> metadata request|reject PIECE | metadata data PIECE [false] [size=BYTES] [len=BYTES]
//	ID> pex [added=ADDR[/FLAGS],...] [dropped=ADDR,...] [flood=N [from=N]]
//	block ID PIECE BLOCK [lost] a block arrives; lost: its slot was not won
//	credit ID BYTES
//	verified PIECE | failed PIECE DIGEST... | stored-not PIECE | store-ready
//	peers ADDR... (of a tracker) | user-peers ADDR... | dht-peers ADDR... | dial-failed ADDR
//	want HEX
//	at DURATION                 time goes on, deadline by deadline
//	stats                       prints a line of figures
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	var s script
	for i, line := range strings.SplitAfter(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "<"):
			continue
		case strings.TrimSpace(line) == "" || line[0] == '#':
			got.WriteString(line)
			continue
		}
		got.WriteString(line)
		if err := s.do(strings.Fields(line)); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		s.drain(&got)
		if strings.TrimSpace(line) == "stats" {
			fmt.Fprintf(&got, "< %s\n", s.stats())
		}
		check(t, s.e)
		if g := s.e.cfg.Grants.(*freeGrants); g.buffered != s.e.buffered {
			t.Fatalf("%s:%d: %d bytes are granted, the engine counts %d", file, i+1, g.buffered, s.e.buffered)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("%s: the engine does otherwise (run with -rewrite to see the difference in git):\n%s",
			file, firstDifference(got.String(), string(text)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// script is a running transcript.
type script struct {
	e        *Engine
	now      time.Duration
	geo      metainfo.Geometry
	metadata []byte
	conns    map[int]*Conn
}

func (s *script) do(f []string) error {
	opts := make(map[string]string)
	for _, field := range f[1:] {
		key, value, _ := strings.Cut(field, "=")
		opts[key] = value
	}
	if id, isMessage := strings.CutSuffix(f[0], ">"); isMessage {
		m, err := s.message(f[1:], opts)
		if err != nil {
			return err
		}
		s.e.Receive(s.now, &Input{Kind: InMessage, Conn: s.conn(id), Message: m})
		return nil
	}
	switch f[0] {
	case "torrent":
		return s.torrent(f, opts)
	case "at":
		return s.at(f[1])
	case "stats":
		return nil
	}
	in, err := s.input(f, opts)
	if err == nil {
		s.e.Receive(s.now, &in)
	}
	return err
}

func (s *script) torrent(f []string, opts map[string]string) (err error) {
	s.conns = make(map[int]*Conn)
	numPieces, pieceLen := num(f[1]), num(f[2])
	if s.geo, err = metainfo.NewGeometry(int64(numPieces*pieceLen), int64(pieceLen)); err != nil {
		return err
	}
	cfg := Config{
		PeerID:         metainfo.PeerIDFrom([12]byte{}),
		Rand:           rand.New(rand.NewPCG(uint64(num(opts["seed"])), 0)),
		Grants:         &freeGrants{memory: num(opts["memory"]) * metainfo.BlockLen},
		UploadSlots:    num(opts["slots"]),
		AllowedFast:    num(opts["fast"]),
		MaxPeers:       num(opts["peers"]),
		UploadCapacity: num(opts["up"]),
		Client:         "Shoal",

		WebSeedBelow: num(opts["below"]),
	}
	_, cfg.Private = opts["private"]
	_, cfg.NoPEX = opts["nopex"]
	cfg.DHTPort, cfg.Port = uint16(num(opts["node"])), uint16(num(opts["port"]))
	s.metadata = nil
	if n := num(opts["metadata"]); n > 0 {
		s.metadata = someMetadata(n)
		cfg.InfoHash = sha1.Sum(s.metadata)
	}
	if _, isMagnet := opts["magnet"]; !isMagnet {
		cfg.Metadata = s.metadata
		cfg.Geometry = s.geo
		cfg.Have, cfg.Want = s.set(opts, "have"), s.set(opts, "want")
	}
	s.e, err = New(s.now, cfg)
	return err
}

// set reads a set of pieces in the notation of a bitfield, or nil.
func (s *script) set(opts map[string]string, key string) *bitfield.Set {
	digits, ok := opts[key]
	if !ok {
		return nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	set, err := bitfield.Parse(b, s.geo.NumPieces())
	if err != nil {
		panic(err)
	}
	return set
}

func (s *script) at(when string) error {
	until, err := time.ParseDuration(when)
	if err != nil {
		return err
	}
	for at, ok := s.e.NextTimeout(); ok && at <= until; at, ok = s.e.NextTimeout() {
		s.now = at
		s.e.Advance(at)
	}
	s.now = until
	return nil
}

func (s *script) input(f []string, opts map[string]string) (Input, error) {
	switch f[0] {
	case "up":
		return s.up(f, opts), nil
	case "web-seed":
		in := s.up([]string{"", f[1], "0.0.0.0:0"}, opts)
		in.Addr, in.WebSeed = netip.AddrPort{}, true
		return in, nil
	case "down":
		return Input{Kind: InConnDown, Conn: s.conn(f[1])}, nil
	case "block":
		piece, index := num(f[2]), num(f[3])
		_, lost := opts["lost"]
		return Input{Kind: InBlock, Conn: s.conn(f[1]), Piece: piece, Begin: index * metainfo.BlockLen,
			Length: s.geo.BlockLen(piece, index), Claimed: !lost}, nil
	case "credit":
		return Input{Kind: InCredit, Conn: s.conn(f[1]), Length: num(f[2])}, nil
	case "verified", "failed":
		return Input{Kind: InVerified, Piece: num(f[1]), OK: f[0] == "verified", Digests: digests(f[2:])}, nil
	case "stored-not":
		return Input{Kind: InStoreFailed, Piece: num(f[1])}, nil
	case "store-ready":
		return Input{Kind: InStoreReady}, nil
	case "peers":
		return Input{Kind: InPeers, Addrs: addrs(f[1:]), Source: SourceTracker}, nil
	case "user-peers":
		return Input{Kind: InPeers, Addrs: addrs(f[1:]), Source: SourceUser}, nil
	case "dht-peers":
		return Input{Kind: InPeers, Addrs: addrs(f[1:]), Source: SourceDHT}, nil
	case "dial-failed":
		return Input{Kind: InDialFailed, Addr: netip.MustParseAddrPort(f[1])}, nil
	case "geometry":
		_, private := opts["private"]
		return Input{Kind: InGeometry, Geometry: s.geo, Have: s.set(opts, "have"), Private: private}, nil
	case "want":
		return Input{Kind: InWant, Want: s.set(map[string]string{"": f[1]}, "")}, nil
	}
	return Input{}, fmt.Errorf("unknown line %q", f)
}

func (s *script) up(f []string, opts map[string]string) Input {
	in := Input{Kind: InConnUp, Conn: s.conn(f[1]), Addr: netip.MustParseAddrPort(f[2])}
	_, in.Fast = opts["fast"]
	_, in.Extended = opts["ext"]
	_, in.DHT = opts["dht"]
	_, in.Incoming = opts["in"]
	copy(in.PeerID[:], "-XX0000-peer"+f[1])
	if as, ok := opts["as"]; ok {
		copy(in.PeerID[:], as+strings.Repeat("\x00", 20))
	}
	return in
}

// stats prints figures that no output shows.
func (s *script) stats() string {
	st := s.e.Stats(s.now)
	conns := fmt.Sprintf("%d connections", st.Conns)
	if st.WebSeeds > 0 {
		conns += fmt.Sprintf(", %d web seeds", st.WebSeeds)
	}
	return fmt.Sprintf("%s, %d addresses, %d banned, metadata %d of %d bytes",
		conns, st.Known, st.Banned, st.MetadataHave, st.MetadataLen)
}

// drain writes what the engine wants done, an output a line.
func (s *script) drain(w *strings.Builder) {
	for out, ok := s.e.Next(); ok; out, ok = s.e.Next() {
		fmt.Fprintf(w, "< %s\n", s.printOutput(*out))
	}
}

func (s *script) printOutput(out Output) string {
	switch out.Kind {
	case OutMessage:
		if out.Message.Type == wire.Extended {
			return fmt.Sprintf("%d> %s", out.Conn.Owner, s.printExtended(out))
		}
		return fmt.Sprintf("%d> %v", out.Conn.Owner, out.Message)
	case OutHave:
		return fmt.Sprintf("*> have %d", out.Piece)
	case OutBlock:
		return fmt.Sprintf("%d> piece %d %d+%d", out.Conn.Owner, out.Piece, out.Begin, out.Length)
	case OutOpen:
		return fmt.Sprintf("open %d", out.Piece)
	case OutDiscard:
		return fmt.Sprintf("discard %d %d", out.Piece, out.Begin)
	case OutVerify:
		if out.Digests {
			return fmt.Sprintf("verify %d with digests", out.Piece)
		}
		return fmt.Sprintf("verify %d", out.Piece)
	case OutDrop:
		return fmt.Sprintf("drop %d", out.Piece)
	case OutSpill:
		return fmt.Sprintf("spill %d", out.Piece)
	case OutDial:
		return fmt.Sprintf("dial %v", out.Addr)
	case OutClose:
		return fmt.Sprintf("close %d: %s", out.Conn.Owner, out.Reason)
	case OutCompleted:
		return "completed"
	case OutNeedPeers:
		return "need peers"
	case OutMetadata:
		return fmt.Sprintf("metadata of %d bytes, as they should be: %t", len(out.Metadata), bytes.Equal(out.Metadata, s.metadata))
	case OutNode:
		return fmt.Sprintf("node %v", out.Addr)
	}
	return fmt.Sprintf("unknown output %d", out.Kind)
}

// parseMessage reads a message in the notation of wire.Message: its name, then
// nothing, one number, hexadecimal digits, or an index and "begin+length".
func parseMessage(words []string) (wire.Message, error) {
	names := make(map[string]wire.Type)
	for kind := range 256 {
		names[wire.Type(kind).String()] = wire.Type(kind)
	}
	for n := len(words); n > 0; n-- { // "have all" before "have"
		kind, ok := names[strings.Join(words[:n], " ")]
		if !ok {
			continue
		}
		m, args := wire.Message{Type: kind}, words[n:]
		var err error
		switch {
		case kind == wire.Bitfield:
			m.Payload, err = hex.DecodeString(args[0])
		case len(args) == 2:
			begin, length, _ := strings.Cut(args[1], "+")
			m.Index, m.Begin, m.Length = uint32(num(args[0])), uint32(num(begin)), uint32(num(length))
		case len(args) == 1:
			m.Index = uint32(num(args[0]))
		}
		return m, err
	}
	return wire.Message{}, fmt.Errorf("unknown message %q", words)
}

func digests(letters []string) [][20]byte {
	var list [][20]byte
	for _, letter := range letters {
		list = append(list, [20]byte{letter[0] - '0'}) // "0" is that of a block that cannot be read
	}
	return list
}

func addrs(words []string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, word := range words {
		list = append(list, netip.MustParseAddrPort(word))
	}
	return list
}

// conn returns the connection with a number, a new one the first time.
func (s *script) conn(number string) *Conn {
	n := num(number)
	if s.conns[n] == nil {
		s.conns[n] = &Conn{Owner: n}
	}
	return s.conns[n]
}

// num reads a number; the empty string is 0.
func num(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// freeGrants grants everything. memory, if set, bounds the buffers.
type freeGrants struct {
	memory, buffered int
	conns, dials     int
}

func (g *freeGrants) Upload(_ time.Duration, want int) (int, time.Duration)   { return want, 0 }
func (g *freeGrants) Download(_ time.Duration, want int) (int, time.Duration) { return want, 0 }
func (g *freeGrants) Slots(_ time.Duration, want int) int                     { return want }
func (g *freeGrants) Connect(time.Duration) bool                              { g.conns++; return true }
func (g *freeGrants) Disconnect(time.Duration)                                { g.conns-- }
func (g *freeGrants) Dial(time.Duration) bool                                 { g.dials++; return true }
func (g *freeGrants) DialDone(time.Duration)                                  { g.dials-- }

func (g *freeGrants) Buffer(_ time.Duration, want int) bool {
	if g.memory > 0 && g.buffered+want > g.memory {
		return false
	}
	g.buffered += want
	return true
}
func (g *freeGrants) Unbuffer(_ time.Duration, n int) { g.buffered -= n }
