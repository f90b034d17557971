package engine

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/shoal-bt/shoal/peer/wire"
)

// someMetadata returns n bytes in which each piece differs from the others.
func someMetadata(n int) []byte { return someBytes(0, n) }

func someBytes(from, to int) []byte {
	b := make([]byte, max(0, to-from))
	for i := range b {
		b[i] = byte((from + i) + (from+i)/wire.MetadataPieceLen)
	}
	return b
}

// message reads a message: one of the extensions, or see parseMessage.
func (s *script) message(words []string, opts map[string]string) (wire.Message, error) {
	extended := func(id uint8, payload []byte) (wire.Message, error) {
		return wire.Message{Type: wire.Extended, ExtID: id, Payload: payload}, nil
	}
	switch words[0] {
	case "handshake":
		return extended(wire.ExtHandshakeID, wire.AppendExtHandshake(nil, handshakeOf(opts)))
	case "metadata":
		m, err := s.metadataMessage(words[1], num(words[2]), opts)
		if err != nil {
			return wire.Message{}, err
		}
		return extended(metadataExtID, wire.AppendMetadata(nil, m))
	case "pex":
		return extended(pexExtID, wire.AppendPEX(nil, pexOf(opts)))
	}
	return parseMessage(words)
}

func handshakeOf(opts map[string]string) wire.ExtHandshake {
	h := wire.ExtHandshake{MetadataSize: int64(num(opts["size"])), Port: uint16(num(opts["p"]))}
	if ip, ok := opts["yourip"]; ok {
		h.YourIP = netip.MustParseAddr(ip)
	}
	for _, name := range []string{wire.ExtMetadata, wire.ExtPEX} {
		if id, ok := opts[name]; ok {
			h.M = append(h.M, wire.Extension{Name: name, ID: uint8(num(id))})
		}
	}
	uploadOnly, said := opts["upload_only"]
	h.UploadOnly = uploadOnly == "1"
	h.Downloading = said && !h.UploadOnly
	return h
}

func (s *script) metadataMessage(kind string, piece int, opts map[string]string) (wire.MetadataMessage, error) {
	m := wire.MetadataMessage{Piece: piece}
	switch kind {
	case "request":
		m.Type = wire.MetadataRequest
	case "reject":
		m.Type = wire.MetadataReject
	case "data":
		m.Type, m.TotalSize = wire.MetadataData, int64(len(s.metadata))
		if size, ok := opts["size"]; ok {
			m.TotalSize = int64(num(size))
		}
		begin := piece * wire.MetadataPieceLen
		m.Data = someBytes(begin, min(begin+wire.MetadataPieceLen, int(m.TotalSize)))
		if n, ok := opts["len"]; ok {
			m.Data = m.Data[:num(n)]
		}
		if _, isFalse := opts["false"]; isFalse {
			m.Data[0] ^= 1
		}
	default:
		return m, fmt.Errorf("unknown metadata message %q", kind)
	}
	return m, nil
}

// pieceOf returns a piece of metadata, none if it does not exist.
func pieceOf(metadata []byte, piece int) []byte {
	begin := min(piece*wire.MetadataPieceLen, len(metadata))
	return metadata[begin:min(begin+wire.MetadataPieceLen, len(metadata))]
}

func pexOf(opts map[string]string) (p wire.PEX) {
	for word := range strings.SplitSeq(opts["added"], ",") {
		if addr, flags, _ := strings.Cut(word, "/"); addr != "" {
			p.Added = append(p.Added, wire.PEXPeer{Addr: netip.MustParseAddrPort(addr), Flags: wire.PEXFlags(num(flags))})
		}
	}
	for word := range strings.SplitSeq(opts["dropped"], ",") {
		if word != "" {
			p.Dropped = append(p.Dropped, netip.MustParseAddrPort(word))
		}
	}
	for i := range num(opts["flood"]) {
		i += num(opts["from"])
		addr := netip.AddrFrom4([4]byte{8, 8, byte(i / 250), byte(i%250 + 1)})
		p.Added = append(p.Added, wire.PEXPeer{Addr: netip.AddrPortFrom(addr, 6881)})
	}
	return p
}

// printExtended prints a message of an extension by what it says. Peers of a
// script use other ids than ours: 3 for ut_metadata and 4 for ut_pex.
func (s *script) printExtended(out Output) string {
	payload := out.Message.Payload
	switch out.Message.ExtID {
	case wire.ExtHandshakeID:
		h, err := wire.ParseExtHandshake(payload)
		return printHandshake(h, err)
	case 3:
		m, err := wire.ParseMetadata(payload)
		return s.printMetadata(m, err)
	case 4:
		p, err := wire.ParsePEX(payload)
		return printPEX(p, err)
	}
	return out.Message.String()
}

func printHandshake(h wire.ExtHandshake, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "handshake")
	for _, e := range h.M {
		fmt.Fprintf(&b, " %s=%d", e.Name, e.ID)
	}
	if h.MetadataSize > 0 {
		fmt.Fprintf(&b, " size=%d", h.MetadataSize)
	}
	if h.Port > 0 {
		fmt.Fprintf(&b, " p=%d", h.Port)
	}
	fmt.Fprintf(&b, " reqq=%d yourip=%v v=%s", h.ReqQ, h.YourIP, h.Client)
	if h.UploadOnly || h.Downloading {
		fmt.Fprintf(&b, " upload_only=%t", h.UploadOnly)
	}
	return withError(b.String(), err)
}

func (s *script) printMetadata(m wire.MetadataMessage, err error) string {
	name := [...]string{"request", "data", "reject"}[m.Type]
	line := fmt.Sprintf("metadata %s %d", name, m.Piece)
	if m.Type == wire.MetadataData {
		right := string(m.Data) == string(pieceOf(s.metadata, m.Piece))
		line += fmt.Sprintf(" (%d of %d bytes, as they should be: %t)", len(m.Data), m.TotalSize, right)
	}
	return withError(line, err)
}

func printPEX(p wire.PEX, err error) string {
	line := "pex"
	for _, peer := range p.Added {
		line += fmt.Sprintf(" +%v/%d", peer.Addr, peer.Flags)
	}
	for _, addr := range p.Dropped {
		line += fmt.Sprintf(" -%v", addr)
	}
	return withError(line, err)
}

func withError(line string, err error) string {
	if err != nil {
		return line + " " + err.Error()
	}
	return line
}
