package engine

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// TestAllowedFastSet holds the algorithm to the example results of BEP 6.
func TestAllowedFastSet(t *testing.T) {
	var infoHash metainfo.InfoHash
	for i := range infoHash {
		infoHash[i] = 0xaa
	}
	ip := netip.MustParseAddr("80.4.4.200")
	want := []int32{1059, 431, 808, 1217, 287, 376, 1188, 353, 508}
	for _, k := range []int{7, 9} {
		if got := allowedFastSet(infoHash, ip, k, 1313); !slices.Equal(got, want[:k]) {
			t.Errorf("k=%d: %v, want %v", k, got, want[:k])
		}
	}
	if got := allowedFastSet(infoHash, ip, 10, 3); len(got) != 3 {
		t.Errorf("three pieces: %v, want each once", got)
	}
	if got := allowedFastSet(infoHash, netip.MustParseAddr("2001:db8::1"), 10, 1313); got != nil {
		t.Errorf("IPv6: %v, want none", got)
	}
	if got := allowedFastSet(infoHash, netip.MustParseAddr("::ffff:80.4.4.200"), 7, 1313); !slices.Equal(got, want[:7]) {
		t.Errorf("IPv4 in IPv6: %v, want %v", got, want[:7])
	}
}
