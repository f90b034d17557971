package node

import (
	"container/list"
	"iter"
	"net/netip"
	"time"
)

// ledger bounds a store, and keeps it fair: when it is full the oldest record
// goes, and no owner has more than its share, beyond which its own oldest
// record goes. A flood from a few places cannot wash out what others stored.
type ledger[T any] struct {
	max, perOwner int
	all           list.List // of *record[T], the one renewed longest ago first
	owners        map[netip.Prefix]*list.List
}

// ownerOf returns whose share an address counts to: its /24, or its /48, which
// is what a site is given of IPv6 (RFC 6177). A /64 would be no bound at all:
// one home has hundreds of them.
func ownerOf(ip netip.Addr) netip.Prefix {
	if ip.Is4() {
		return network(ip)
	}
	p, _ := ip.Prefix(48) // no error: the address has more bits than that
	return p
}

// record is one value in a store.
type record[T any] struct {
	value   T
	owner   netip.Prefix
	renewed time.Duration
	inAll   *list.Element
	inOwner *list.Element
}

func newLedger[T any](maxRecords int) ledger[T] {
	return ledger[T]{max: maxRecords, perOwner: max(maxRecords/ownerShare, 1), owners: map[netip.Prefix]*list.List{}}
}

// excess returns the record that must go before the owner may add another,
// nil if there is room.
func (l *ledger[T]) excess(owner netip.Prefix) *record[T] {
	if own := l.owners[owner]; own != nil && own.Len() >= l.perOwner {
		return own.Front().Value.(*record[T])
	}
	if l.all.Len() >= l.max {
		return l.all.Front().Value.(*record[T])
	}
	return nil
}

// add makes a record. There must be room for it.
func (l *ledger[T]) add(now time.Duration, owner netip.Prefix, value T) *record[T] {
	own := l.owners[owner]
	if own == nil {
		own = list.New()
		l.owners[owner] = own
	}
	r := &record[T]{value: value, owner: owner, renewed: now}
	r.inAll, r.inOwner = l.all.PushBack(r), own.PushBack(r)
	return r
}

// of yields the records of an owner, the one renewed longest ago first.
func (l *ledger[T]) of(owner netip.Prefix) iter.Seq[*record[T]] {
	return func(yield func(*record[T]) bool) {
		own := l.owners[owner]
		if own == nil {
			return
		}
		for e := own.Front(); e != nil; e = e.Next() {
			if !yield(e.Value.(*record[T])) {
				return
			}
		}
	}
}

func (l *ledger[T]) renew(now time.Duration, r *record[T]) {
	r.renewed = now
	l.all.MoveToBack(r.inAll)
	l.owners[r.owner].MoveToBack(r.inOwner)
}

func (l *ledger[T]) remove(r *record[T]) {
	l.all.Remove(r.inAll)
	own := l.owners[r.owner]
	if own.Remove(r.inOwner); own.Len() == 0 {
		delete(l.owners, r.owner)
	}
}

// expired returns the record renewed longest ago if that is longer than age.
func (l *ledger[T]) expired(now, age time.Duration) *record[T] {
	if first := l.all.Front(); first != nil {
		if r := first.Value.(*record[T]); now-r.renewed >= age {
			return r
		}
	}
	return nil
}
