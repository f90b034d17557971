package node

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// itemStore has the values of BEP 44 that were put to us.
type itemStore struct {
	ledger ledger[*stored]
	items  map[krpc.ID]*record[*stored]
}

// stored is one value; key is nil if it is immutable.
type stored struct {
	target          krpc.ID
	value, key, sig []byte
	seq             int64
}

// The refusals of announce_peer and put.
var (
	refuseFull      = &krpc.Refusal{Code: krpc.CodeServer, Text: "this torrent has as many peers as this node keeps, and it gave you no token for it"}
	refuseToken     = &krpc.Refusal{Code: krpc.CodeProtocol, Text: "the token is not one that this node gave to your address within ten minutes"}
	refuseSignature = &krpc.Refusal{Code: krpc.CodeSignature, Text: "the signature does not fit the key, seq, salt and v"}
	refuseCAS       = &krpc.Refusal{Code: krpc.CodeCASMismatch, Text: "cas is not the stored seq: re-read the value and try again"}
	refuseSeq       = &krpc.Refusal{Code: krpc.CodeSeqTooLow, Text: "seq is not higher than the stored one"}
)

func newItemStore(maxItems int) *itemStore {
	if maxItems <= 0 {
		maxItems = defaultMaxItems
	}
	return &itemStore{ledger: newLedger[*stored](maxItems), items: map[krpc.ID]*record[*stored]{}}
}

// put stores the value of a put query from ip, or says why not.
func (s *itemStore) put(now time.Duration, ip netip.Addr, m *krpc.Message) *krpc.Refusal {
	target := krpc.ImmutableTarget(m.Value)
	if m.Key != nil {
		target = krpc.MutableTarget(m.Key, m.Salt)
		// BEP 44: "the signature MUST be verified before accepting the store
		// command."
		if !signed(m.Key, m.Salt, m.Sig, m.Seq, m.Value) {
			return refuseSignature
		}
	}
	r := s.items[target]
	if r == nil {
		s.add(now, ip, target, m)
		return nil
	}
	if m.Key != nil {
		if refusal := r.value.update(m); refusal != nil {
			return refusal
		}
	}
	s.ledger.renew(now, r)
	return nil
}

func (s *itemStore) add(now time.Duration, ip netip.Addr, target krpc.ID, m *krpc.Message) {
	owner := ownerOf(ip)
	if old := s.ledger.excess(owner); old != nil {
		s.remove(old)
	}
	s.items[target] = s.ledger.add(now, owner, &stored{target: target, seq: m.Seq,
		value: slices.Clone(m.Value), key: slices.Clone(m.Key), sig: slices.Clone(m.Sig)})
}

// update replaces a mutable value. BEP 44: "Storing nodes receiving a put
// request where seq is lower than or equal to what's already stored on the
// node, MUST reject the request. If the sequence number is equal, and the value
// is also the same, the node SHOULD reset its timeout counter." CAS comes
// first: "An implementation MUST emit 301 errors if the cas mismatches."
func (v *stored) update(m *krpc.Message) *krpc.Refusal {
	switch {
	case m.HasCAS && m.CAS != v.seq:
		return refuseCAS
	case m.Seq == v.seq && bytes.Equal(m.Value, v.value):
		return nil
	case m.Seq <= v.seq:
		return refuseSeq
	}
	v.value, v.sig, v.seq = slices.Clone(m.Value), slices.Clone(m.Sig), m.Seq
	return nil
}

func (s *itemStore) remove(r *record[*stored]) {
	s.ledger.remove(r)
	delete(s.items, r.value.target)
}

// expire drops items that were not put again. A nil store has none.
func (s *itemStore) expire(now time.Duration) {
	if s == nil {
		return
	}
	for r := s.ledger.expired(now, itemExpiry); r != nil; r = s.ledger.expired(now, itemExpiry) {
		s.remove(r)
	}
}

// get returns what is stored at target, nil if nothing is.
func (s *itemStore) get(target krpc.ID) *stored {
	if s == nil || s.items[target] == nil {
		return nil
	}
	return s.items[target].value
}
