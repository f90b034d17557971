package dht

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// testState is a state with everything in it.
func testState() state {
	return state{
		id: krpc.ID{1, 2, 3}, external: netip.MustParseAddr("81.2.69.142"),
		nodes: []krpc.Node{
			{ID: krpc.ID{4}, Addr: netip.MustParseAddrPort("192.0.2.1:6881")},
			{ID: krpc.ID{5}, Addr: netip.MustParseAddrPort("192.0.2.2:1")},
			{ID: krpc.ID{6}, Addr: netip.MustParseAddrPort("[2001:db8::1]:65535")},
		},
	}
}

// resum gives bytes the checksum that a file ends with.
func resum(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(body[:len(body):len(body)], sum[:]...)
}

func TestStateRoundTrip(t *testing.T) {
	external6 := testState()
	external6.external = netip.MustParseAddr("2001:db8::2")
	for _, want := range []state{{}, {id: krpc.ID{9}}, testState(), external6} {
		got, err := parseState(appendState(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// Of more nodes than are kept the file still holds the allowed number, and is
// of the length that is read.
func TestStateBound(t *testing.T) {
	var s state
	for i := range 2 * maxSavedNodes {
		s.nodes = append(s.nodes, krpc.Node{Addr: fakeAddr(i)}, krpc.Node{Addr: netip.AddrPortFrom(loopback6, uint16(i))})
	}
	s.external = loopback6
	b := appendState(nil, s)
	got, err := parseState(b)
	if err != nil || len(got.nodes) != 2*maxSavedNodes || len(b) != maxStateLen {
		t.Errorf("%d nodes in %d bytes, %v", len(got.nodes), len(b), err)
	}
}

// Every kind of damage is noticed, also with a checksum that fits it.
func TestStateDamage(t *testing.T) {
	whole := appendState(nil, testState())
	body := whole[:len(whole)-sha256.Size]
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if _, err := parseState(damaged); !errors.Is(err, errStateDamaged) {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, err := parseState(whole[:at]); !errors.Is(err, errStateDamaged) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	for at := range body {
		if _, err := parseState(resum(body[:at])); !errors.Is(err, errStateDamaged) {
			t.Errorf("cut at %d, with a checksum: %v", at, err)
		}
	}
	badAddr := bytes.Clone(body)
	badAddr[len(stateMagic)+21] = 5 // the length of the external address
	for name, b := range map[string][]byte{"too long": append(bytes.Clone(body), 0), "external address": badAddr} {
		if _, err := parseState(resum(b)); !errors.Is(err, errStateDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := bytes.Clone(body)
	later[len(stateMagic)]++
	if _, err := parseState(resum(later)); !errors.Is(err, errStateVersion) {
		t.Errorf("a later version: %v", err)
	}
}

// mappedNodeBody is a file's body, the IPv6 node of which has an IPv4 address
// mapped into IPv6.
func mappedNodeBody() []byte {
	b := appendState(nil, testState())
	body := b[:len(b)-sha256.Size]
	mapped := netip.MustParseAddr("::ffff:192.0.2.3").As16()
	copy(body[len(body)-len(mapped)-2:], mapped[:])
	return body
}

// An IPv4 address mapped into IPv6 takes fewer bytes when it is written than
// when it was read: it must not be counted where it was.
func TestStateMappedNode(t *testing.T) {
	want := netip.MustParseAddrPort("192.0.2.3:65535")
	s, err := parseState(resum(mappedNodeBody()))
	if err != nil || len(s.nodes) != 3 || s.nodes[2].Addr != want {
		t.Fatalf("read as %+v, %v", s.nodes, err)
	}
	s.nodes[2].Addr = netip.MustParseAddrPort("[::ffff:192.0.2.3]:65535")
	s, err = parseState(appendState(nil, s))
	if err != nil || len(s.nodes) != 3 || s.nodes[2].Addr != want {
		t.Errorf("written as %+v, %v", s.nodes, err)
	}
}

func FuzzParseState(f *testing.F) {
	whole := appendState(nil, testState())
	f.Add(whole[:len(whole)-sha256.Size])
	empty := appendState(nil, state{})
	f.Add(empty[:len(empty)-sha256.Size])
	f.Add([]byte(stateMagic))
	f.Add(mappedNodeBody())
	f.Fuzz(func(t *testing.T, body []byte) {
		parseState(body) // hardly ever has a checksum that fits
		b := resum(body)
		s, err := parseState(b)
		if err != nil {
			return
		}
		if len(s.nodes) > len(b)/krpc.NodeLen4 {
			t.Fatalf("%d nodes out of %d bytes", len(s.nodes), len(b))
		}
		again, err := parseState(appendState(nil, s))
		if err != nil || again.id != s.id || again.external != s.external || len(s.nodes) <= maxSavedNodes && len(again.nodes) != len(s.nodes) {
			t.Fatalf("not the same again: %+v, %v; was %+v", again, err, s)
		}
	})
}

// The file is the owner's alone, and nothing else is left beside it.
func TestStateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	path := filepath.Join(dir, "dht.state")
	if err := writeFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are there", len(entries))
	}
	// One that cannot be written leaves the old one, and no temporary file.
	if err := writeFile(dir, []byte("a folder is in the way")); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 1 {
		t.Errorf("%d files are there", len(entries))
	}
}

// Two processes with one file do not mix their states.
func TestStateFileShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dht.state")
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			s := testState()
			s.id[0] = byte(i)
			for range 20 {
				if err := writeFile(path, appendState(nil, s)); err != nil {
					t.Error(err)
				}
				if _, err := readState(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
}

// A file that cannot be used is set aside, and the node starts all the same
// and saves a new one.
func TestStateSetAside(t *testing.T) {
	later := appendState(nil, testState())
	later = later[:len(later)-sha256.Size]
	later[len(stateMagic)] = 2
	for name, content := range map[string][]byte{
		"damaged": []byte("no DHT state"), "empty": {}, "later": resum(later), "huge": make([]byte, 10*maxStateLen),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dht.state")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			other := newTestServer(t, Config{})
			s := newTestServer(t, Config{StateFile: path}, other.Addrs()[0].String())
			await(t, "the node to join", s.Ready())
			if aside, err := os.ReadFile(path + ".bad"); err != nil || !bytes.Equal(aside, content) {
				t.Errorf("%d bytes were set aside, %v", len(aside), err)
			}
			closeServer(t, s)
			if saved, err := readState(path); err != nil || len(saved.nodes) != 1 || saved.id != s.Stats().ID {
				t.Errorf("saved %+v, %v", saved, err)
			}
		})
	}
}

// A file that cannot be read is left alone, and so is one that knows nodes
// when this session met none.
func TestStateKept(t *testing.T) {
	dir := t.TempDir()
	closeServer(t, newTestServer(t, Config{StateFile: dir}))
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	path := filepath.Join(dir, "dht.state")
	want := testState()
	if err := writeFile(path, appendState(nil, want)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newEther().fakeServer(t, 1, Config{StateFile: path, Bootstrap: []string{}})
		if stats := s.Stats(); stats.ID != want.id || stats.External != want.external {
			t.Errorf("started as %v at %v", stats.ID, stats.External)
		}
		time.Sleep(2 * saveEvery)
		closeServer(t, s)
	})
	if got, err := readState(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What is no file is neither set aside nor replaced: for root, that could be
// /dev/null.
func TestStateIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Skip(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		cfg, _ := Config{StateFile: path, Bootstrap: []string{"node0:6881"}}.withDefaults()
		s := start(cfg, []socket{net.socket(fakeAddr(1))}, net.resolve)
		<-s.Ready()
		if err := s.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("closed with %v", err)
		}
	})
	if target, err := os.Readlink(path); target != os.DevNull {
		t.Errorf("it became %q, %v", target, err)
	}
}

// The state is saved now and then, so that a crash does not cost much.
func TestStateSavedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		path := filepath.Join(t.TempDir(), "dht.state")
		s := net.fakeServer(t, 1, Config{StateFile: path, Bootstrap: []string{"node0:6881"}})
		<-s.Ready()
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("saved at once: %v", err)
		}
		time.Sleep(saveEvery)
		synctest.Wait()
		if saved, err := readState(path); err != nil || len(saved.nodes) != 1 {
			t.Errorf("%+v, %v", saved, err)
		}
	})
}

// An id that was made for an address which is no longer ours gives way when
// enough nodes say so (BEP 42), and the new one is saved at once.
func TestStaleExternalAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		first := publicAddr(0).String()
		net.fakeServerAt(t, publicAddr(0), Config{Bootstrap: []string{}})
		for i := range 12 {
			net.fakeServerAt(t, publicAddr(i+1), Config{Bootstrap: []string{first}})
		}
		path := filepath.Join(t.TempDir(), "dht.state")
		old := testState()
		old.nodes = []krpc.Node{{ID: krpc.ID{1}, Addr: publicAddr(0)}}
		if err := writeFile(path, appendState(nil, old)); err != nil {
			t.Fatal(err)
		}
		s := net.fakeServerAt(t, publicAddr(50), Config{StateFile: path, Bootstrap: []string{first}})
		<-s.Ready()
		time.Sleep(time.Minute)
		synctest.Wait()
		stats := s.Stats()
		if stats.External != publicAddr(50).Addr() || stats.ID == old.id {
			t.Errorf("is %v at %v", stats.ID, stats.External)
		}
		if saved, err := readState(path); err != nil || saved.id != stats.ID || saved.external != stats.External {
			t.Errorf("saved %v at %v, %v", saved.id, saved.external, err)
		}
	})
}
