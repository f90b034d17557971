package compact

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
)

func TestAppend(t *testing.T) {
	for _, test := range []struct {
		addr string
		want []byte
	}{
		{"1.2.3.4:6881", []byte{1, 2, 3, 4, 0x1a, 0xe1}},
		{"[::ffff:1.2.3.4]:6881", []byte{1, 2, 3, 4, 0x1a, 0xe1}},
		{"0.0.0.0:0", []byte{0, 0, 0, 0, 0, 0}},
		{"[2001:db8::1]:1", []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1}},
		{"[fe80::1%eth0]:65535", []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},
	} {
		if got := Append([]byte("x"), netip.MustParseAddrPort(test.addr)); !bytes.Equal(got, append([]byte("x"), test.want...)) {
			t.Errorf("Append(%s) = %x, want %x", test.addr, got, test.want)
		}
	}
	if got := Append(nil, netip.AddrPort{}); len(got) != 0 {
		t.Errorf("the invalid address became %x", got)
	}
}

func TestParse(t *testing.T) {
	got, err := Parse4([]byte{1, 2, 3, 4, 0x1a, 0xe1, 5, 6, 7, 8, 0, 0})
	want := []netip.AddrPort{netip.MustParseAddrPort("1.2.3.4:6881"), netip.MustParseAddrPort("5.6.7.8:0")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Parse4 = %v, %v", got, err)
	}
	for n := range 40 {
		_, err4 := Parse4(make([]byte, n))
		_, err6 := Parse6(make([]byte, n))
		if (err4 == nil) != (n%6 == 0) || (err6 == nil) != (n%18 == 0) {
			t.Errorf("%d bytes: %v and %v", n, err4, err6)
		}
	}
	mapped := append(append(make([]byte, 10), 0xff, 0xff), 1, 2, 3, 4, 0x1a, 0xe1)
	if got, err := Parse6(mapped); err != nil || got[0] != want[0] {
		t.Errorf("Parse6 of a mapped address = %v, %v", got, err)
	}
}

func FuzzCompact(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{1, 2, 3, 4, 0x1a, 0xe1}, false)
	f.Add(make([]byte, 36), true)
	f.Add(append(append(make([]byte, 10), 0xff, 0xff), 1, 2, 3, 4, 5, 6), true)
	f.Fuzz(func(t *testing.T, b []byte, isIPv6 bool) {
		parse, addrLen := Parse4, Len4
		if isIPv6 {
			parse, addrLen = Parse6, Len6
		}
		addrs, err := parse(b)
		if (err == nil) != (len(b)%addrLen == 0) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		for i, addr := range addrs {
			again := Append(nil, addr)
			original := b[i*addrLen : (i+1)*addrLen]
			if isIPv6 && addr.Addr().Is4() {
				original = original[12:]
			}
			if !bytes.Equal(again, original) {
				t.Fatalf("%x became %v became %x", original, addr, again)
			}
		}
	})
}
