package engine

import (
	"hash/crc32"
	"net/netip"
	"testing"
)

// TestCanonicalPriority has the examples of BEP 40, and what it says of other addresses, hashed in the clear.
func TestCanonicalPriority(t *testing.T) {
	const same16 = "\x7b\xd5\x20\x00" + "\x7b\xd5\x45\x50" // 123.213.32.10 and 123.213.69.250, FF.FF.FF.55
	const one6 = "\x20\x01\x0d\xb8\x00\x01"
	for _, test := range []struct {
		a, b string
		want uint32
	}{
		{"123.213.32.10:1", "98.76.54.32:2", 0xec2d7224},
		{"123.213.32.10:1", "123.213.32.234:2", 0x99568189},
		{"123.213.32.10:1", "123.213.69.250:2", crcOf(same16)},
		{"123.213.32.10:1234", "123.213.32.10:300", crcOf("\x01\x2c\x04\xd2")},
		{"[2001:db8:1:ffff::ffff]:1", "[2001:db9:1:ffff::ffff]:2", crcOf(
			one6 + "\x55\x55\x00\x00\x00\x00\x00\x00\x55\x55" + "\x20\x01\x0d\xb9\x00\x01\x55\x55\x00\x00\x00\x00\x00\x00\x55\x55")},
		{"[2001:db8:1:ffff::ffff]:1", "[2001:db8:1:aaff::ffff]:2", crcOf( // one /48: a byte more
			one6 + "\xaa\x55\x00\x00\x00\x00\x00\x00\x55\x55" + one6 + "\xff\x55\x00\x00\x00\x00\x00\x00\x55\x55")},
		{"[2001:db8:1:ffff::ffff]:1", "[2001:db8:1:ffaa::ffff]:2", crcOf( // one /56: two bytes more
			one6 + "\xff\xaa\x00\x00\x00\x00\x00\x00\x55\x55" + one6 + "\xff\xff\x00\x00\x00\x00\x00\x00\x55\x55")},
	} {
		a, b := netip.MustParseAddrPort(test.a), netip.MustParseAddrPort(test.b)
		if there, back := canonicalPriority(a, b), canonicalPriority(b, a); there != test.want || back != test.want {
			t.Errorf("%v and %v: %08x, the other way round %08x, want %08x", a, b, there, back, test.want)
		}
	}
}

func crcOf(s string) uint32 { return crc32.Checksum([]byte(s), castagnoli) }

// TestSeenAs: what most say is believed, in whatever order they say it.
func TestSeenAs(t *testing.T) {
	honest, liar := netip.MustParseAddr("20.0.0.1"), netip.MustParseAddr("6.6.6.6")
	for _, test := range []struct {
		votes string // h and l
		want  netip.Addr
	}{
		{"h", honest}, {"lhh", honest}, {"llhhh", honest}, {"lhlhh", honest}, {"hhhll", honest},
		{"hhhhhhhhhhhhhhhhhhhh" + "lllllllll", liar}, // twenty said so before it changed
	} {
		var s seenAs
		for _, vote := range test.votes {
			if vote == 'h' {
				s.add(honest)
			} else {
				s.add(liar)
			}
		}
		if s.ip != test.want {
			t.Errorf("%s: %v, want %v", test.votes, s.ip, test.want)
		}
	}
}
