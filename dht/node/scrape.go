package node

import (
	"net/netip"

	"github.com/shoal-bt/shoal/dht/krpc"
)

const (
	// maxFilterCount is the count above which a filter is not believed. BEP 33:
	// "The requesting nodes may perform sanity checks on the returned bloom
	// filters, e.g. checking if they are not full (within the 6000 entry
	// limit". One filter of ones would make every count meaningless. The
	// estimate may err, so a tenth is added.
	maxFilterCount = 6600
	// maxLegacyPeers bounds the addresses kept of nodes without filters, 24
	// bytes each; more than a filter can count.
	maxLegacyPeers = 8000
)

// scrape is what a lookup counts (BEP 33): the union of the filters, and the
// peers that nodes without filters told.
type scrape struct {
	seeds, leechers krpc.Filter
	legacy          []netip.Addr
}

// add counts what one node answered.
func (s *scrape) add(m *krpc.Message, peers []netip.AddrPort) {
	if m.BFsd == nil || m.BFpe == nil {
		for _, peer := range peers[:min(len(peers), maxLegacyPeers-len(s.legacy))] {
			s.legacy = append(s.legacy, peer.Addr())
		}
		return
	}
	if filterCount(m.BFsd) <= maxFilterCount && filterCount(m.BFpe) <= maxFilterCount {
		s.seeds.Union(m.BFsd)
		s.leechers.Union(m.BFpe)
	}
}

func filterCount(filter []byte) float64 {
	f := krpc.Filter(filter)
	return f.Estimate()
}

// result returns the two counts. BEP 33 on answers with values alone: "Due to
// the absence of seed/peer information the filter should be considered as a
// peer filter. Before inserting values into the filter it should check if the
// IPs are not present in the seed filters of other nodes".
func (s *scrape) result() (seeds, leechers *krpc.Filter) {
	if s == nil {
		return nil, nil
	}
	seeds, leechers = new(krpc.Filter), new(krpc.Filter)
	*seeds, *leechers = s.seeds, s.leechers
	for _, ip := range s.legacy {
		if !seeds.Contains(ip) {
			leechers.Insert(ip)
		}
	}
	return seeds, leechers
}
