package metainfo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Bounds of a magnet link. The largest that people pass around have some
// hundred trackers; browsers stop at 64 KiB or before.
const (
	maxMagnetLen   = 1 << 20 // in bytes
	maxMagnetPeers = 500
	maxSelections  = 10_000
)

// Magnet is what a magnet link says (BEP 9): which torrent, and where to ask
// for the rest. Everything but InfoHash or Mutable may be absent.
type Magnet struct {
	// InfoHash names the torrent. It is zero if and only if Mutable is not nil.
	InfoHash InfoHash
	// Mutable names a torrent that its publisher can replace by another.
	Mutable *MutableName
	// Name is only a hint from whoever wrote the link (dn).
	Name string
	// Len is the number of bytes of the torrent (xl), or 0.
	Len      int64
	Trackers []string // tr
	WebSeeds []string // ws
	Peers    []string // x.pe, as host:port
	// Select are the files to download, by index (so, BEP 53). Empty means
	// all.
	Select []IndexRange
}

// MutableName is where the DHT keeps the InfoHash of a torrent that can change
// (BEP 46): a mutable item of BEP 44.
type MutableName struct {
	// Key is the publisher's ed25519 public key.
	Key [mutableKeyLen]byte
	// Salt tells several torrents of one publisher apart. It has at most 64
	// bytes, and is often empty.
	Salt []byte
}

// The lengths of BEP 44: an ed25519 public key has 32 bytes, and a salt "MUST
// NOT be longer than 64 bytes".
const (
	mutableKeyLen  = 32
	maxMutableSalt = 64
)

// IndexRange is the indices from First to Last, both included.
type IndexRange struct{ First, Last int }

// Announce returns the trackers as tiers of one, which is how BEP 12 has
// several trackers be used when nothing is known about their order.
func (m Magnet) Announce() [][]string {
	var tiers [][]string
	for _, tracker := range m.Trackers {
		tiers = append(tiers, []string{tracker})
	}
	return tiers
}

// ParseMagnet reads a magnet link with a v1 info-hash of 40 hexadecimal or 32
// base32 digits, or with a public key of BEP 46; if it has both, the info-hash
// counts, as nobody can replace what that names. It fails with ErrV2Only for a
// link of BEP 52 alone. Unknown parameters, and hints that make no sense, are
// ignored.
func ParseMagnet(s string) (Magnet, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxMagnetLen {
		return Magnet{}, fmt.Errorf("magnet link is longer than %d bytes", maxMagnetLen)
	}
	const scheme = "magnet:?"
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return Magnet{}, errors.New("not a magnet link: it starts with magnet:? (quote it, or the shell cuts it at the first &)")
	}
	p := magnetParser{}
	for pair := range strings.SplitSeq(s[len(scheme):], "&") {
		key, value, _ := strings.Cut(pair, "=")
		if err := p.parameter(strings.ToLower(key), value); err != nil {
			return Magnet{}, fmt.Errorf("magnet link: %w", err)
		}
	}
	switch {
	case p.hasHash:
		return p.Magnet, nil
	case p.hasV2:
		return Magnet{}, fmt.Errorf("magnet link: %w", ErrV2Only)
	case p.key != "":
		mutable, err := parseMutable(p.key, p.salt)
		if err != nil {
			return Magnet{}, fmt.Errorf("magnet link: %w", err)
		}
		p.Mutable = mutable
		return p.Magnet, nil
	}
	return Magnet{}, errors.New("magnet link has no xt=urn:btih: parameter, so it names no torrent")
}

// parseMutable reads BEP 46's "xs=urn:btpk:[ Public Key (Hex) ]&s=[ Salt (Hex) ]".
func parseMutable(key, salt string) (*MutableName, error) {
	keyBytes, err := hex.DecodeString(key)
	if err != nil || len(keyBytes) != mutableKeyLen {
		return nil, fmt.Errorf("xs=urn:btpk:%s is not a public key of %d hexadecimal digits", Printable(cutRunes(key, 80)), 2*mutableKeyLen)
	}
	saltBytes, err := hex.DecodeString(salt)
	if err != nil || len(saltBytes) > maxMutableSalt {
		return nil, fmt.Errorf("s=%s is not a salt of at most %d hexadecimal digits", Printable(cutRunes(salt, 80)), 2*maxMutableSalt)
	}
	name := &MutableName{Key: [mutableKeyLen]byte(keyBytes)}
	if len(saltBytes) > 0 {
		name.Salt = saltBytes
	}
	return name, nil
}

// magnetParser gathers the parameters, which come in any order.
type magnetParser struct {
	Magnet
	hasHash, hasV2 bool
	key, salt      string // of BEP 46, as they stand there
}

// parameter takes one pair. The query is not read by net/url as a whole,
// which drops a pair with a raw ";" and makes a "+" in a tracker's URL a space.
func (p *magnetParser) parameter(key, value string) error {
	// "xt.1", "tr.2": the magnet scheme numbers what is given repeatedly.
	if name, number, found := strings.Cut(key, "."); found && isDigits(number) {
		key = name
	}
	if key == "dn" { // forms are how links get made, and they write + for a space
		value = strings.ReplaceAll(value, "+", " ")
	}
	value, err := url.PathUnescape(value)
	if err != nil {
		return fmt.Errorf("parameter %q: %w", Printable(cutRunes(key, 40)), err)
	}
	switch key {
	case "xt":
		return p.exactTopic(value)
	case "xs":
		p.exactSource(value)
	case "s":
		p.salt = value
	case "dn":
		p.Name = value
	case "xl":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			p.Len = n
		}
	case "tr":
		p.Trackers = appendHint(p.Trackers, value, maxTrackers)
	case "ws":
		p.WebSeeds = appendHint(p.WebSeeds, value, maxWebSeeds)
	case "x.pe":
		p.Peers = appendHint(p.Peers, value, maxMagnetPeers)
	case "so":
		return p.selectOnly(value)
	}
	return nil
}

func (p *magnetParser) exactTopic(urn string) error {
	const btih = "urn:btih:"
	switch {
	case hasPrefixFold(urn, btih):
		h, err := ParseInfoHash(urn[len(btih):])
		if err != nil {
			return err
		}
		if p.hasHash && h != p.InfoHash {
			return errors.New("it names two torrents: give one link for each")
		}
		p.InfoHash, p.hasHash = h, true
	case hasPrefixFold(urn, "urn:btmh:"):
		p.hasV2 = true
	}
	return nil
}

// exactSource takes a key of BEP 46. Other sources are web servers that Shoal
// does not ask.
func (p *magnetParser) exactSource(urn string) {
	const btpk = "urn:btpk:"
	if hasPrefixFold(urn, btpk) && p.key == "" {
		p.key = urn[len(btpk):]
	}
}

// selectOnly reads BEP 53's "so=0,2,4,6-8".
func (p *magnetParser) selectOnly(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, errFirst := strconv.ParseUint(from, 10, 31)
		last, errLast := strconv.ParseUint(to, 10, 31)
		if errFirst != nil || errLast != nil || last < first {
			return fmt.Errorf("so=%s is not a list of file numbers such as 0,2,6-8", Printable(cutRunes(value, 80)))
		}
		if len(p.Select) == maxSelections {
			return fmt.Errorf("so= has more than %d file numbers; use ranges", maxSelections)
		}
		p.Select = append(p.Select, IndexRange{int(first), int(last)})
	}
	return nil
}

func appendHint(hints []string, hint string, bound int) []string {
	hint = strings.TrimSpace(hint)
	if hint == "" || len(hints) >= bound {
		return hints
	}
	return append(hints, hint)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String returns the link, always the same for the same Magnet. It is ASCII,
// whatever the name holds.
func (m Magnet) String() string {
	var b strings.Builder
	b.WriteString("magnet:?" + m.topic())
	write := func(key string, values ...string) {
		for _, value := range values {
			b.WriteString("&" + key + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		}
	}
	if m.Name != "" {
		write("dn", m.Name)
	}
	if m.Len > 0 {
		write("xl", strconv.FormatInt(m.Len, 10))
	}
	write("tr", m.Trackers...)
	write("ws", m.WebSeeds...)
	write("x.pe", m.Peers...)
	if len(m.Select) > 0 {
		b.WriteString("&so=" + formatRanges(m.Select))
	}
	return b.String()
}

// topic is the parameters that name the torrent.
func (m Magnet) topic() string {
	switch {
	case m.Mutable == nil:
		return "xt=urn:btih:" + m.InfoHash.String()
	case len(m.Mutable.Salt) == 0:
		return "xs=urn:btpk:" + hex.EncodeToString(m.Mutable.Key[:])
	}
	return "xs=urn:btpk:" + hex.EncodeToString(m.Mutable.Key[:]) + "&s=" + hex.EncodeToString(m.Mutable.Salt)
}

func formatRanges(ranges []IndexRange) string {
	var b strings.Builder
	for i, r := range ranges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(r.First))
		if r.Last != r.First {
			b.WriteString("-" + strconv.Itoa(r.Last))
		}
	}
	return b.String()
}

// Magnet returns the link that leads to the torrent m.
func (m *Metainfo) Magnet() Magnet {
	link := Magnet{InfoHash: m.InfoHash, Name: m.Info.Name, Len: m.Info.Geometry.TotalLen(), WebSeeds: m.WebSeeds}
	for _, tier := range m.Announce {
		link.Trackers = append(link.Trackers, tier...)
	}
	return link
}
