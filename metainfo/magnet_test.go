package metainfo

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

const hexHash = "0123456789abcdef0123456789abcdef01234567"

func TestParseMagnet(t *testing.T) {
	hash, _ := ParseInfoHash(hexHash)
	for _, test := range []struct {
		in   string
		want Magnet
	}{
		{"magnet:?xt=urn:btih:" + hexHash, Magnet{}},
		{" MAGNET:?XT=URN:BTIH:" + strings.ToUpper(hexHash) + "\n", Magnet{}},
		{"magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH", Magnet{}},
		{"magnet:?xt.1=urn:btih:" + hexHash + "&xt.2=urn:btmh:1220" + hexHash, Magnet{}},
		{"magnet:?xt=urn:btih:" + hexHash + "&xs=urn:btpk:00", Magnet{}},
		{"magnet:?xt=urn%3Abtih%3A" + hexHash + "&xt=urn:btih:" + hexHash, Magnet{}},
		{"magnet:?dn=a+b%2Bc%20%C3%A9&xl=42&xt=urn:btih:" + hexHash, Magnet{Name: "a b+c é", Len: 42}},
		{"magnet:?xt=urn:btih:" + hexHash + "&tr=http%3A%2F%2Ft%2Fa%3Fx%3Da+b%26c&tr.1=udp://u:1;x&tr=",
			Magnet{Trackers: []string{"http://t/a?x=a+b&c", "udp://u:1;x"}}},
		{"magnet:?xt=urn:btih:" + hexHash + "&ws=http://w/&x.pe=1.2.3.4:5&x.pe=[::1]:6&unknown&=&x.y=z",
			Magnet{WebSeeds: []string{"http://w/"}, Peers: []string{"1.2.3.4:5", "[::1]:6"}}},
		{"magnet:?xt=urn:btih:" + hexHash + "&xl=-1&so=0,2,4,6-8", Magnet{Select: []IndexRange{{0, 0}, {2, 2}, {4, 4}, {6, 8}}}},
	} {
		test.want.InfoHash = hash
		wantMagnet(t, test.in, test.want)
	}
}

// wantMagnet fails unless a link is read as want, and written so that it is read
// as that again.
func wantMagnet(t *testing.T, link string, want Magnet) {
	t.Helper()
	got, err := ParseMagnet(link)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseMagnet(%q) = %+v, %v", link, got, err)
	}
	if again, err := ParseMagnet(got.String()); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("%q became %q became %+v, %v", link, got, again, err)
	}
}

func TestParseMagnetRefuses(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "not a magnet link"},
		{"http://x/?xt=urn:btih:" + hexHash, "not a magnet link"},
		{"magnet:?", "names no torrent"},
		{"magnet:?xt=urn:sha1:abc", "names no torrent"},
		{"magnet:?xt=urn:btih:123", "info-hash"},
		{"magnet:?xt=urn:btih:" + hexHash + "0", "info-hash"},
		{"magnet:?xt=urn:btih:" + hexHash + "&xt=urn:btih:1" + hexHash[1:], "two torrents"},
		{"magnet:?xt=urn:btih:" + hexHash + "&dn=%zz", "escape"},
		{"magnet:?xt=urn:btih:" + hexHash + "&so=1-", "so=1-"},
		{"magnet:?xt=urn:btih:" + hexHash + "&so=8-6", "so=8-6"},
		{"magnet:?xt=urn:btih:" + hexHash + "&so=-1", "so=-1"},
		{"magnet:?xt=urn:btih:" + hexHash + "&so=4294967296", "so=4294967296"},
		{"magnet:?xt=urn:btih:" + hexHash + "&so=" + strings.Repeat("1,", 20_000) + "1", "more than"},
		{"magnet:?" + strings.Repeat("x", maxMagnetLen), "longer than"},
		{"magnet:?xs=http://server.example/x.torrent", "names no torrent"},
		{"magnet:?xs=urn:btpk:", "names no torrent"},
		{"magnet:?xs=urn:btpk:" + keyDigits[1:], "not a public key of 64 hexadecimal digits"},
		{"magnet:?xs=urn:btpk:" + keyDigits + "00", "not a public key"},
		{"magnet:?xs=urn:btpk:" + keyDigits[1:] + "x", "not a public key"},
		{"magnet:?xs=urn:btpk:" + keyDigits + "&s=6", "not a salt of at most 128 hexadecimal digits"},
		{"magnet:?xs=urn:btpk:" + keyDigits + "&s=" + strings.Repeat("00", 65), "not a salt"},
	} {
		if m, err := ParseMagnet(test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ParseMagnet(%.90q) = %+v, %v, want an error with %q", test.in, m, err, test.want)
		}
	}
	if _, err := ParseMagnet("magnet:?xt=urn:btmh:1220" + strings.Repeat("ab", 32)); !errors.Is(err, ErrV2Only) {
		t.Errorf("v2 only: %v", err)
	}
}

// keyDigits is the public key of BEP 46's test vectors.
const keyDigits = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"

func TestParseMutableMagnet(t *testing.T) {
	var key [32]byte
	if _, err := hex.Decode(key[:], []byte(keyDigits)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		in   string
		want Magnet
	}{
		{"magnet:?xs=urn:btpk:" + keyDigits, Magnet{Mutable: &MutableName{Key: key}}},
		{"magnet:?s=6e&xs=urn:btpk:" + strings.ToUpper(keyDigits), Magnet{Mutable: &MutableName{Key: key, Salt: []byte("n")}}},
		{"magnet:?xs=http://w/&xs=URN%3Abtpk%3A" + keyDigits + "&s=&dn=n&x.pe=1.2.3.4:5",
			Magnet{Mutable: &MutableName{Key: key}, Name: "n", Peers: []string{"1.2.3.4:5"}}},
	} {
		wantMagnet(t, test.in, test.want)
	}
}

func TestMagnetHintsAreBounded(t *testing.T) {
	m, err := ParseMagnet("magnet:?xt=urn:btih:" + hexHash + strings.Repeat("&tr=a&ws=b&x.pe=c", 10_000))
	if err != nil || len(m.Trackers) != maxTrackers || len(m.WebSeeds) != maxWebSeeds || len(m.Peers) != maxMagnetPeers {
		t.Errorf("%d trackers, %d web seeds, %d peers, %v", len(m.Trackers), len(m.WebSeeds), len(m.Peers), err)
	}
}

func TestMagnetOfTorrent(t *testing.T) {
	m := parse(t, dict{"info": multiInfo.with(dict{"name": "a & b\x1b"}), "announce-list": [][]string{{"http://a/?x=1&y=2", "udp://b"}, {"http://c"}}, "url-list": "http://w/"})
	want := "magnet:?xt=urn:btih:" + m.InfoHash.String() + "&dn=a%20%26%20b%1B&xl=40000" +
		"&tr=http%3A%2F%2Fa%2F%3Fx%3D1%26y%3D2&tr=udp%3A%2F%2Fb&tr=http%3A%2F%2Fc&ws=http%3A%2F%2Fw%2F"
	link := m.Magnet()
	if link.String() != want {
		t.Errorf("%s, want %s", link, want)
	}
	if tiers := link.Announce(); len(tiers) != 3 || tiers[1][0] != "udp://b" {
		t.Errorf("tiers %v", tiers)
	}
}

func FuzzMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:" + hexHash + "&dn=a+b&tr=http%3A%2F%2Ft%2Fa&x.pe=1.2.3.4:5&so=0,2-4&xl=7&ws=w")
	f.Add("magnet:?xt.1=urn:btmh:1220" + hexHash)
	f.Add("magnet:?xs=urn:btpk:" + hexHash)
	f.Add("magnet:?xs=urn:btpk:" + keyDigits + "&s=6e&tr=t")
	f.Add("magnet:?xt=urn%3abtih%3AAERUKZ4JVPG66AJDIVTYTK6N54ASGRLH&tr.1=%0a;&dn=%ff")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMagnet(s)
		if err != nil {
			return
		}
		link := m.String()
		if Printable(link) != link {
			t.Fatalf("%q is not printable", link)
		}
		if again, err := ParseMagnet(link); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q became %q became %+v, %v", s, link, again, err)
		}
	})
}
