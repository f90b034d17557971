package swarm

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// A network has a tenth of the swarm. Its members make up nearly half of what one
// of them is told, and a tenth without the preference; nobody comes twice, no seed is told of seeds, and
// every id is that of its address.
func TestPeersOfTheOwnNetwork(t *testing.T) {
	for _, c := range []struct {
		name         string
		addr         func(i int) string
		network      string
		bits4, bits6 int
		least, most  int
	}{
		{"IPv4", func(i int) string { return fmt.Sprintf("10.%d.%d.7:6881", 1+i%10, 1+i/10) }, "10.4.0.0/16", 16, 0, 18, 25},
		{"IPv6", func(i int) string { return fmt.Sprintf("[2001:db8:%x:%x::7]:6881", 1+i%10, 1+i/10) }, "2001:db8:4::/48", 0, 48, 18, 25},
		{"off", func(i int) string { return fmt.Sprintf("10.%d.%d.7:6881", 1+i%10, 1+i/10) }, "10.4.0.0/16", 0, 48, 2, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSwarms(t, Config{NearBits4: c.bits4, NearBits6: c.bits6, KeepPeerIDs: true})
			var dst Peers
			for i := range 1000 {
				req := from(c.addr(i))
				if i%4 == 0 {
					seed(req)
				}
				s.Announce(0, req, &dst)
				dst.Reset()
			}
			network, sum := netip.MustParsePrefix(c.network), 0
			for i := range 20 {
				req := from(c.addr(3+10*i), func(r *tracker.Request) { r.NumWant = 50 })
				if i%2 == 1 {
					seed(req)
				}
				s.Announce(0, req, &dst)
				sum += checkNear(t, &dst, req, network)
				dst.Reset()
			}
			if mean := sum / 20; mean < c.least || mean > c.most {
				t.Errorf("%d of 50 are of the own network", mean)
			}
		})
	}
}

// checkNear returns how many of a reply are in a network.
func checkNear(t *testing.T, dst *Peers, req *tracker.Request, network netip.Prefix) (near int) {
	t.Helper()
	addrs := dst.AppendTo(nil)
	if len(addrs) != 50 {
		t.Fatalf("%d peers, want 50", len(addrs))
	}
	ids := append(dst.IDs4, dst.IDs6...)
	seen := map[netip.AddrPort]bool{req.Addr: true}
	for i, addr := range addrs {
		if seen[addr] {
			t.Errorf("%v comes twice, or is the announcer", addr)
		}
		seen[addr] = true
		var want metainfo.PeerID
		if copy(want[:], addr.String()); ids[i] != want {
			t.Errorf("%v has the id %q", addr, ids[i])
		}
		if network.Contains(addr.Addr()) {
			near++
		}
	}
	return near
}
