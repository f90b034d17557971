package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// bep10Example is the example of BEP 10. Its µ is one byte in the name of the
// extension (the string's length says so) and two in the client's name.
const bep10Example = "d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"

func TestParseExtHandshake(t *testing.T) {
	tests := []struct {
		name, in string
		want     ExtHandshake
	}{
		{"nothing", "de", ExtHandshake{}},
		{"the example of BEP 10", bep10Example, ExtHandshake{
			M:      []Extension{{"LT_metadata", 1}, {"\xb5T_PEX", 2}},
			Port:   6881,
			Client: "µTorrent 1.2",
		}},
		{"a disabled extension", "d1:md11:LT_metadatai0eee", ExtHandshake{M: []Extension{{"LT_metadata", 0}}}},
		{"the partial seed of BEP 21", "d1:md11:ut_metadatai3ee11:upload_onlyi1ee", ExtHandshake{
			M:          []Extension{{ExtMetadata, 3}},
			UploadOnly: true,
		}},
		{"who downloads again", "d11:upload_onlyi0ee", ExtHandshake{Downloading: true}},
		{"upload_only of another type", "d11:upload_only1:1e", ExtHandshake{}},
		{"addresses", "d4:ipv44:\x7f\x00\x00\x014:ipv616:\xfe\x80" + strings.Repeat("\x00", 13) + "\x016:yourip4:\x01\x02\x03\x04e", ExtHandshake{
			IPv4:   netip.MustParseAddr("127.0.0.1"),
			IPv6:   netip.MustParseAddr("fe80::1"),
			YourIP: netip.MustParseAddr("1.2.3.4"),
		}},
		{"an IPv4 address in IPv6 clothes", "d6:yourip16:" + strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04e", ExtHandshake{
			YourIP: netip.MustParseAddr("1.2.3.4"),
		}},
		{"numbers", "d13:metadata_sizei31235e1:pi65535e4:reqqi250ee", ExtHandshake{
			MetadataSize: 31235, Port: 65535, ReqQ: 250,
		}},
		{"numbers out of range", "d1:md1:ai256e1:bi-1ee13:metadata_sizei-1e1:pi65536e4:reqqi-5ee", ExtHandshake{}},
		{"300 is not 44", "d1:md6:ut_pexi300eee", ExtHandshake{}},
		{"wrong types", "d4:ipv4i1e1:m1:x13:metadata_size1:91:ple4:reqqde1:vi1e6:yourip3:abce", ExtHandshake{}},
		{"unsorted keys", "d1:v1:x1:pi1ee", ExtHandshake{Client: "x", Port: 1}},
		{"unknown keys", "d1:ei0e1:qd1:all1:beee1:v1:xe", ExtHandshake{Client: "x"}},
		{"bytes behind", "d1:v1:xejunk", ExtHandshake{Client: "x"}},
		{"a terminal's escape", "d1:v10:\x1b[2Jab\ncd\x00e", ExtHandshake{Client: "[2Jabcd"}},
		{"a hidden direction", "d1:v8:ab\xe2\x80\xaecdee", ExtHandshake{Client: "abcde"}},
		{"a client of another encoding", "d1:v2:\xb5Te", ExtHandshake{Client: "\ufffdT"}},
		{"a long client", "d1:v100:" + strings.Repeat("x", 100) + "e", ExtHandshake{Client: strings.Repeat("x", MaxClientLen)}},
	}
	for _, tt := range tests {
		got, err := ParseExtHandshake([]byte(tt.in))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseExtHandshakeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "x", "i1e", "le", "3:abc", "d", "d1:v5:abce", "d1:pi01ee", "d1:pi-0ee", "d1:v2000000000:e",
		"d1:v1:a1:v1:be",                                                 // which of them?
		strings.Repeat("l", 1<<20),                                       // a recursive reader would end here
		"d1:ql" + strings.Repeat("le", 5000) + "ee",                      // too many values
		"d1:q" + strings.Repeat("l", 20) + strings.Repeat("e", 20) + "e", // too deep
	} {
		_, err := ParseExtHandshake([]byte(in))
		if !errors.As(err, new(ProtocolError)) {
			t.Errorf("%.30q: %v, want a ProtocolError", in, err)
		}
	}
}

func TestAppendExtHandshake(t *testing.T) {
	h := ExtHandshake{
		M:            []Extension{{ExtMetadata, 1}, {ExtPEX, 2}},
		Client:       "Shoal 0.1",
		Port:         6881,
		ReqQ:         512,
		YourIP:       netip.MustParseAddr("1.2.3.4"),
		IPv4:         netip.MustParseAddr("5.6.7.8"),
		IPv6:         netip.MustParseAddr("2001:db8::1"),
		MetadataSize: 31235,
		UploadOnly:   true,
	}
	const want = "d4:ipv44:\x05\x06\x07\x08" +
		"4:ipv616:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"1:md11:ut_metadatai1e6:ut_pexi2ee" +
		"13:metadata_sizei31235e1:pi6881e4:reqqi512e11:upload_onlyi1e" +
		"1:v9:Shoal 0.16:yourip4:\x01\x02\x03\x04e"
	if got := AppendExtHandshake([]byte("x"), h); string(got) != "x"+want {
		t.Errorf("AppendExtHandshake = %q\nwant %q", got, "x"+want)
	}
	got, err := ParseExtHandshake([]byte(want))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("ParseExtHandshake = %+v, %v\nwant %+v", got, err, h)
	}
	if got := AppendExtHandshake(nil, ExtHandshake{Downloading: true}); string(got) != "d1:mde11:upload_onlyi0ee" {
		t.Errorf("who downloads again says %q", got)
	}
	if got := AppendExtHandshake(nil, ExtHandshake{}); string(got) != "d1:mdee" {
		t.Errorf("the empty handshake is %q", got)
	}
}

func TestExtensionID(t *testing.T) {
	h := ExtHandshake{M: []Extension{{ExtMetadata, 3}, {ExtPEX, 0}}}
	for name, want := range map[string]string{ExtMetadata: "3 true", ExtPEX: "0 true", "other": "0 false"} {
		if id, ok := h.ID(name); fmt.Sprint(id, ok) != want {
			t.Errorf("ID(%s) = %d, %t; want %s", name, id, ok, want)
		}
	}
}

// What a remote can make us keep is bounded.
func TestExtHandshakeBounds(t *testing.T) {
	var m strings.Builder
	for i := range 200 {
		fmt.Fprintf(&m, "4:x%03di1e", i)
	}
	fmt.Fprintf(&m, "65:%si1e", strings.Repeat("y", 65))
	h, err := ParseExtHandshake([]byte("d1:md" + m.String() + "ee"))
	if err != nil || len(h.M) != MaxExtensions {
		t.Errorf("%d extensions, %v; want %d", len(h.M), err, MaxExtensions)
	}
	h, err = ParseExtHandshake([]byte("d1:md" + fmt.Sprintf("65:%si1e", strings.Repeat("y", 65)) + "ee"))
	if err != nil || len(h.M) != 0 {
		t.Errorf("a long name is kept: %+v, %v", h, err)
	}
}

func FuzzExtHandshake(f *testing.F) {
	f.Add([]byte(bep10Example))
	f.Add([]byte("d1:md11:ut_metadatai3ee11:upload_onlyi1ee"))
	f.Add([]byte("d4:ipv44:\x7f\x00\x00\x016:yourip16:0123456789abcdef4:reqqi250e1:v2:\xb5Te"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseExtHandshake(b)
		if err != nil {
			return
		}
		again := AppendExtHandshake(nil, h)
		h2, err := ParseExtHandshake(again)
		if err != nil || !reflect.DeepEqual(h2, h) {
			t.Fatalf("ParseExtHandshake(AppendExtHandshake(%+v)) = %+v, %v", h, h2, err)
		}
	})
}
