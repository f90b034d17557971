package wire

import (
	"net/netip"

	"github.com/anacrolix/torrent/bencode"

	"github.com/shoal-bt/shoal/metainfo/bscan"
	"github.com/shoal-bt/shoal/metainfo/compact"
)

// MaxPEXPeers bounds what is kept of a PEX message: so many added and so many
// dropped peers, IPv4 and IPv6 together. BEP 11 allows fifty, "except for the
// initial PEX message", for which it has no number; twice as many is arbitrary.
const MaxPEXPeers = 100

// PEXFlags say what the sender of a PEX message knows of a peer.
type PEXFlags uint8

// The flags of BEP 11.
const (
	PEXEncryption PEXFlags = 0x01 // prefers encryption
	PEXSeed       PEXFlags = 0x02 // is a seed, or upload_only
	PEXUTP        PEXFlags = 0x04 // supports uTP
	PEXHolepunch  PEXFlags = 0x08 // supports ut_holepunch
	PEXReachable  PEXFlags = 0x10 // the sender connected to it
)

// PEXPeer is a peer that the sender of a PEX message is connected to.
type PEXPeer struct {
	Addr  netip.AddrPort
	Flags PEXFlags
}

// PEX is a message of the extension [ExtPEX], BEP 11: the peers that the
// sender has connected to and lost since the message before.
type PEX struct {
	Added   []PEXPeer
	Dropped []netip.AddrPort
}

// pexLimits bounds the scan of a PEX message: six strings, and room for what
// others may add.
var pexLimits = bscan.Limits{Depth: 10, Tokens: 100}

// pexDict is the dictionary of a PEX message as the encoder wants it.
type pexDict struct {
	Added       string `bencode:"added,omitempty"`
	AddedFlags  string `bencode:"added.f,omitempty"`
	Added6      string `bencode:"added6,omitempty"`
	Added6Flags string `bencode:"added6.f,omitempty"`
	Dropped     string `bencode:"dropped,omitempty"`
	Dropped6    string `bencode:"dropped6,omitempty"`
}

// AppendPEX appends p to b: the payload of an Extended message, without its
// length prefix, type and id. BEP 11: "Messages must contain at least one of"
// the lists, so p must not be empty.
func AppendPEX(b []byte, p PEX) []byte {
	var added, added6, flags, flags6, dropped, dropped6 []byte
	for _, peer := range p.Added {
		if peer.Addr.Addr().Unmap().Is4() {
			added, flags = compact.Append(added, peer.Addr), append(flags, byte(peer.Flags))
		} else {
			added6, flags6 = compact.Append(added6, peer.Addr), append(flags6, byte(peer.Flags))
		}
	}
	for _, addr := range p.Dropped {
		if addr.Addr().Unmap().Is4() {
			dropped = compact.Append(dropped, addr)
		} else {
			dropped6 = compact.Append(dropped6, addr)
		}
	}
	return append(b, bencode.MustMarshal(pexDict{
		Added: string(added), AddedFlags: string(flags),
		Added6: string(added6), Added6Flags: string(flags6),
		Dropped: string(dropped), Dropped6: string(dropped6),
	})...)
}

// ParsePEX reads the payload of an Extended message of the extension [ExtPEX].
// It keeps nothing of b, and at most [MaxPEXPeers] of each list: IPv4 before
// IPv6, each in the order of the message. Flags that are missing are zero.
//
// The error is a [ProtocolError] if b does not begin with a dictionary, or if a
// list of it is not a whole number of addresses. Addresses that nobody can be
// reached at are the caller's to drop.
func ParsePEX(b []byte) (PEX, error) {
	v, _, err := scanDict("PEX message", b, pexLimits)
	if err != nil {
		return PEX{}, err
	}
	added, flags, err := pexAddrs(v, "added")
	if err != nil {
		return PEX{}, err
	}
	dropped, _, err := pexAddrs(v, "dropped")
	if err != nil {
		return PEX{}, err
	}
	p := PEX{Dropped: dropped}
	for i, addr := range added {
		p.Added = append(p.Added, PEXPeer{Addr: addr, Flags: flags[i]})
	}
	return p, nil
}

// pexAddrs reads the lists of both address families under name, and the flags
// of each address.
func pexAddrs(v bscan.Value, name string) (addrs []netip.AddrPort, flags []PEXFlags, err error) {
	for _, family := range [...]struct {
		key     string
		addrLen int
		parse   func([]byte) ([]netip.AddrPort, error)
	}{
		{name, compact.Len4, compact.Parse4},
		{name + "6", compact.Len6, compact.Parse6},
	} {
		list, _ := v.Get(family.key).Str()
		if len(list)%family.addrLen != 0 {
			return nil, nil, protocolErrorf("PEX message: %v", compact.ErrLength)
		}
		room := MaxPEXPeers - len(addrs)
		some, err := family.parse(list[:min(len(list), room*family.addrLen)])
		if err != nil {
			return nil, nil, protocolErrorf("PEX message: %v", err)
		}
		addrs = append(addrs, some...)
		bits, _ := v.Get(family.key + ".f").Str()
		for i := range some {
			flag := PEXFlags(0)
			if i < len(bits) {
				flag = PEXFlags(bits[i])
			}
			flags = append(flags, flag)
		}
	}
	return addrs, flags, nil
}
