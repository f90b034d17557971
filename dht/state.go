package dht

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// state is what a node keeps between sessions. In its file it stands as
//
//	magic     8 bytes  "ShoalDHT"
//	version   1 byte   1
//	id        20 bytes
//	external  1 byte its length (0, 4 or 16), then the address
//	numNodes4 2 bytes, then so many compact nodes of 26 bytes (BEP 5)
//	numNodes6 2 bytes, then so many compact nodes of 38 bytes (BEP 32)
//	checksum  32 bytes SHA-256 of all before it
//
// with big-endian numbers.
type state struct {
	id       krpc.ID
	external netip.Addr // not valid: not known
	nodes    []krpc.Node
}

const (
	stateMagic   = "ShoalDHT"
	stateVersion = 1

	maxSavedNodes = 1000 // in each family; a full table has about 300
	maxStateLen   = len(stateMagic) + 1 + 20 + 17 + 2 + 2 + maxSavedNodes*(krpc.NodeLen4+krpc.NodeLen6) + sha256.Size
)

var (
	errStateDamaged = errors.New("the file is damaged or not a DHT state")
	errStateVersion = errors.New("the file is of another version of Shoal")
)

// appendState appends the file's bytes.
func appendState(b []byte, s state) []byte {
	start := len(b)
	b = append(b, stateMagic...)
	b = append(b, stateVersion)
	b = append(b, s.id[:]...)
	external := s.external.AsSlice()
	b = append(append(b, byte(len(external))), external...)
	for _, is6 := range [...]bool{false, true} {
		b = appendStateNodes(b, s.nodes, is6)
	}
	sum := sha256.Sum256(b[start:])
	return append(b, sum[:]...)
}

// appendStateNodes appends the nodes of one family, with their number before
// them.
func appendStateNodes(b []byte, nodes []krpc.Node, is6 bool) []byte {
	countAt, count := len(b), 0
	b = append(b, 0, 0)
	for _, n := range nodes {
		// An IPv4 address in IPv6's clothes is written as IPv4, so it counts as it.
		if n.Addr.Addr().Unmap().Is6() == is6 && count < maxSavedNodes {
			b = krpc.AppendNode(b, n)
			count++
		}
	}
	binary.BigEndian.PutUint16(b[countAt:], uint16(count))
	return b
}

// parseState reads a file's bytes.
func parseState(b []byte) (state, error) {
	if len(b) < len(stateMagic)+1+sha256.Size || string(b[:len(stateMagic)]) != stateMagic {
		return state{}, errStateDamaged
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if [sha256.Size]byte(sum) != sha256.Sum256(body) {
		return state{}, errStateDamaged
	}
	// The end of every version is its checksum, so that damage and another
	// version can be told apart.
	if version := body[len(stateMagic)]; version != stateVersion {
		return state{}, fmt.Errorf("%w: its format is %d, this program knows %d", errStateVersion, version, stateVersion)
	}
	r := stateReader{left: body[len(stateMagic)+1:]}
	s := r.state()
	if r.short || len(r.left) > 0 {
		return state{}, errStateDamaged
	}
	return s, nil
}

// stateReader reads fields one after the other.
type stateReader struct {
	left  []byte
	short bool // something was missing or made no sense
}

// next returns the next numBytes bytes, nil if they are not there.
func (r *stateReader) next(numBytes int) []byte {
	if r.short = r.short || numBytes > len(r.left); r.short {
		return nil
	}
	field := r.left[:numBytes]
	r.left = r.left[numBytes:]
	return field
}

func (r *stateReader) state() (s state) {
	copy(s.id[:], r.next(len(s.id)))
	if addrLen := r.next(1); addrLen != nil {
		ip, ok := netip.AddrFromSlice(r.next(int(addrLen[0])))
		s.external = ip.Unmap()
		r.short = r.short || !ok && addrLen[0] != 0
	}
	s.nodes = r.nodes(s.nodes, krpc.NodeLen4)
	s.nodes = r.nodes(s.nodes, krpc.NodeLen6)
	return s
}

func (r *stateReader) nodes(nodes []krpc.Node, nodeLen int) []krpc.Node {
	count := r.next(2)
	if count == nil {
		return nodes
	}
	all := r.next(int(binary.BigEndian.Uint16(count)) * nodeLen)
	for ; len(all) > 0; all = all[nodeLen:] {
		ip, _ := netip.AddrFromSlice(all[20 : nodeLen-2]) // 4 or 16 bytes
		port := binary.BigEndian.Uint16(all[nodeLen-2:])
		nodes = append(nodes, krpc.Node{ID: krpc.ID(all[:20]), Addr: netip.AddrPortFrom(ip.Unmap(), port)})
	}
	return nodes
}
