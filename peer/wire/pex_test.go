package wire

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestPEX(t *testing.T) {
	p := PEX{
		Added: []PEXPeer{
			{addrPort("1.2.3.4:6881"), PEXReachable},
			{addrPort("5.6.7.8:1"), PEXSeed | PEXUTP},
			{addrPort("[2001:db8::1]:6881"), PEXEncryption | PEXHolepunch},
		},
		Dropped: []netip.AddrPort{addrPort("9.9.9.9:9"), addrPort("[2001:db8::2]:2")},
	}
	const want = "d5:added12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x017:added.f2:\x10\x06" +
		"6:added618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe18:added6.f1:\x09" +
		"7:dropped6:\x09\x09\x09\x09\x00\x09" +
		"8:dropped618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x02e"
	if got := AppendPEX([]byte("x"), p); string(got) != "x"+want {
		t.Errorf("AppendPEX = %q\nwant %q", got, "x"+want)
	}
	if got, err := ParsePEX([]byte(want)); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("ParsePEX = %+v, %v\nwant %+v", got, err, p)
	}
}

// All lists are optional, and the flags may be shorter than the addresses.
func TestPEXInPart(t *testing.T) {
	for in, want := range map[string]PEX{
		"de": {},
		"d5:added12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x017:added.f1:\x02e": {
			Added: []PEXPeer{{addrPort("1.2.3.4:6881"), PEXSeed}, {addrPort("5.6.7.8:1"), 0}},
		},
		"d5:added0:7:added.f3:abc7:dropped0:e":                         {},
		"d5:addedi1e7:dropped6:\x01\x02\x03\x04\x1a\xe1e":              {Dropped: []netip.AddrPort{addrPort("1.2.3.4:6881")}},
		"d5:added6:\x01\x02\x03\x04\x1a\xe17:added.fi1e3:newd1:ai1eee": {Added: []PEXPeer{{Addr: addrPort("1.2.3.4:6881")}}},
	} {
		if got, err := ParsePEX([]byte(in)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParsePEX(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParsePEXRefuses(t *testing.T) {
	for _, in := range []string{
		"", "le", "i1e", "d", "d5:added7:1234567e", "d6:added66:123456e", "d7:dropped1:xe", "d8:dropped619:1234567890123456789e",
		"d5:added0:5:added6:123456e", "d5:added2000000000:e", strings.Repeat("l", 1<<20), "d1:ql" + strings.Repeat("le", 500) + "ee",
	} {
		if _, err := ParsePEX([]byte(in)); !errors.As(err, new(ProtocolError)) {
			t.Errorf("%.30q: %v, want a ProtocolError", in, err)
		}
	}
}

// What a remote can make us keep is bounded, whatever it sends.
func TestPEXBounds(t *testing.T) {
	flood := func(n int, ip string) (list []PEXPeer) {
		for i := range n {
			list = append(list, PEXPeer{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(i+1))})
		}
		return list
	}
	p := PEX{Added: append(flood(60, "1.2.3.4"), flood(1000, "2001:db8::1")...)}
	for _, peer := range flood(1000, "5.6.7.8") {
		p.Dropped = append(p.Dropped, peer.Addr)
	}
	got, err := ParsePEX(AppendPEX(nil, p))
	if err != nil || len(got.Added) != MaxPEXPeers || len(got.Dropped) != MaxPEXPeers || !got.Added[60].Addr.Addr().Is6() {
		t.Errorf("%d added, %d dropped, %v; want %d of each", len(got.Added), len(got.Dropped), err, MaxPEXPeers)
	}
}

func FuzzPEX(f *testing.F) {
	f.Add([]byte("de"))
	f.Add([]byte("d5:added12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x017:added.f2:\x10\x06e"))
	f.Add([]byte("d6:added618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe18:added6.f1:\x09e"))
	f.Add([]byte("d6:added618:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x1a\xe1e")) // IPv4 in IPv6
	f.Add([]byte("d7:dropped6:\x09\x09\x09\x09\x00\x098:dropped60:e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePEX(b)
		if err != nil {
			return
		}
		if len(p.Added) > MaxPEXPeers || len(p.Dropped) > MaxPEXPeers {
			t.Fatalf("%d added, %d dropped", len(p.Added), len(p.Dropped))
		}
		// A list may change its order once, when an IPv4 address comes out of
		// an IPv6 list; then it stays.
		once, err := ParsePEX(AppendPEX(nil, p))
		if err != nil || len(once.Added) != len(p.Added) || len(once.Dropped) != len(p.Dropped) {
			t.Fatalf("%+v became %+v, %v", p, once, err)
		}
		twice, err := ParsePEX(AppendPEX(nil, once))
		if err != nil || !reflect.DeepEqual(twice, once) {
			t.Fatalf("%+v became %+v, %v", once, twice, err)
		}
	})
}
