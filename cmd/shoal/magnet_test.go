package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/piecestore"
)

// hashOf is the info-hash of a .torrent.
func hashOf(t *testing.T, torrent string) metainfo.InfoHash {
	t.Helper()
	m, err := metainfo.Load(torrent)
	if err != nil {
		t.Fatal(err)
	}
	return m.InfoHash
}

// magnetTo is a link to a torrent that names peers and nothing else.
func magnetTo(t *testing.T, torrent string, peers ...string) string {
	t.Helper()
	return metainfo.Magnet{InfoHash: hashOf(t, torrent), Peers: peers}.String()
}

// getJSONOf runs get with --json, which must succeed.
func getJSONOf(t *testing.T, args ...string) (out getJSON) {
	t.Helper()
	r := mustSucceed(t, append([]string{"get", "--bind", "127.0.0.1", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	return out
}

// TestShareServesWhoeverHasTheMagnetLink gives the link that share prints to
// get, once as a whole, and then one of its ways to find peers at a time.
func TestShareServesWhoeverHasTheMagnetLink(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	writeFiles(t, data, randomFiles(20, mixedFiles))
	stdout, out := io.Pipe()
	share := startTo(t, out, "share", "--bind", "127.0.0.1", "--http", "127.0.0.1:0", "-o", filepath.Join(dir, "x.torrent"), "--json", data)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var shared shareJSON
	if err := json.Unmarshal(line, &shared); err != nil {
		t.Fatal(err)
	}
	link, err := metainfo.ParseMagnet(shared.Magnet)
	if err != nil || len(link.Trackers) != 1 || len(link.Peers) != 1 || link.Peers[0] != share.addr(t, "peer") {
		t.Fatalf("share prints the link %s (%v)", shared.Magnet, err)
	}
	byPeer, byTracker := link, link
	byPeer.Trackers, byTracker.Peers = nil, nil
	for _, args := range [][]string{{shared.Magnet}, {"--no-dht", byPeer.String()}, {"--no-dht", byTracker.String()}} {
		got := t.TempDir()
		r := mustSucceed(t, append([]string{"get", "--bind", "127.0.0.1", "-o", got}, args...)...)
		if !strings.Contains(r.stderr, "data: got the metadata: 390.6 KiB in 4 files\n") {
			t.Errorf("%v: stderr\n%s", args, r.stderr)
		}
		equalTrees(t, filepath.Join(got, "data"), data)
	}
}

func TestMagnetLinksAreWrittenInTwoWays(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(21, mixedFiles))
	addr, hash := seedOf(t, torrent, data), hashOf(t, torrent)
	for _, digits := range []string{hash.String(), strings.ToUpper(hash.String()), base32.StdEncoding.EncodeToString(hash[:])} {
		dir := t.TempDir()
		got := getJSONOf(t, "--peer", addr, "-o", dir, "magnet:?dn=a+name&xt=urn:btih:"+digits)
		if got.Status != "complete" || got.Name != "data" || got.InfoHash != hash.String() || got.Downloaded != 400_018 {
			t.Errorf("%s: %+v", digits, got)
		}
		equalTrees(t, filepath.Join(dir, "data"), data)
	}
}

func TestMagnetSelectsFiles(t *testing.T) {
	t.Parallel()
	torrent, data := makeTorrent(t, "data", randomFiles(22, mixedFiles))
	link := magnetTo(t, torrent, seedOf(t, torrent, data))
	// In the order of the torrent: deep/empty, deep/er/two.bin, deep/three.txt,
	// one.bin.
	for _, test := range []struct {
		args string
		want int64 // bytes of whole pieces
	}{
		{link + "&so=3", 400_018 - 300_018/(16<<10)*(16<<10)},
		{link + "&so=2-99,0", 400_018 - 300_001/(16<<10)*(16<<10)},
		{link + "&so=0", 0},
		{link + "&so=3 --select two.bin", (300_001 + 16<<10 - 1) / (16 << 10) * (16 << 10)},
	} {
		dir := t.TempDir()
		got := getJSONOf(t, append(strings.Fields(test.args), "-o", dir)...)
		if got.Status != "complete" || got.Bytes != test.want {
			t.Errorf("%s: %d bytes, %s; want %d", test.args, got.Bytes, got.Status, test.want)
		}
		// The second time, the choice is made before there is any peer.
		if again := getJSONOf(t, append(strings.Fields(test.args), "-o", dir)...); again.Bytes != test.want || again.Downloaded != 0 {
			t.Errorf("%s: again %+v", test.args, again)
		}
	}
	for args, want := range map[string]struct {
		code int
		text string
	}{
		link + "&so=4-9":           {exitFailed, "so= in the magnet link names no file of data, which has 4 files"},
		link + " --select no.such": {exitUsage, `--select "no.such" matches no file of data; it has deep/empty`},
	} {
		r := shoal(t, append([]string{"get", "--bind", "127.0.0.1", "-o", t.TempDir()}, strings.Fields(args)...)...)
		if r.code != want.code || !strings.Contains(r.stderr, want.text) {
			t.Errorf("%s: exit %d\n%s", args, r.code, r.stderr)
		}
		if strings.Contains(r.stderr, "stopping: ") {
			t.Errorf("%s: the end of what failed was cut short\n%s", args, r.stderr)
		}
	}
}

func TestMagnetFindsDataThatIsThereAlready(t *testing.T) {
	tracker := start(t, "tracker", "run", "--open", "--http", "127.0.0.1:0", "--json")
	torrent, data := makeTorrent(t, "data", randomFiles(23, mixedFiles))
	link := magnetTo(t, torrent, seedOf(t, torrent, data)) + "&tr=http://" + tracker.addr(t, "tracker") + "/announce"
	got := getJSONOf(t, "-o", filepath.Dir(data), link)
	if got.Status != "complete" || got.Downloaded != 0 || got.Rechecked != 25 {
		t.Errorf("get says %+v", got)
	}
	// The tracker hears at most of the start and the end: nothing was completed.
	r := tracker.stop()
	var stats struct{ Announces int }
	if err := json.Unmarshal([]byte(r.stdout), &stats); err != nil || stats.Announces > 2 {
		t.Errorf("%v, the tracker ends with %s", err, r.stdout)
	}
}

// TestInterruptedMagnetGoesOnWhereItWas interrupts a download in the middle. The
// metadata is not fetched again: the second run has nobody to ask, and knows
// what is missing.
func TestInterruptedMagnetGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	torrent, data := makeTorrent(t, "data", randomFiles(24, map[string]int{"one.bin": 3 << 20}))
	dir, addr := t.TempDir(), seedOf(t, torrent, data)
	args := []string{"get", "--bind", "127.0.0.1", "-o", dir, "--json", magnetTo(t, torrent)}

	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	e := &env{stdout: &stdout, stderr: &stderr, looked: func(all []progress) {
		if all[0].done > 0 {
			cancel()
		}
	}}
	code := run(ctx, e, append(args, "--peer", addr, "--down", "64KiB/s"))
	var first getJSON
	if err := json.Unmarshal(stdout.Bytes(), &first); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if code != exitInterrupted || first.Status != "incomplete" || first.BytesLeft <= 0 || first.BytesLeft >= first.Bytes {
		t.Fatalf("interrupted: exit %d, %+v", code, first)
	}

	r := shoal(t, append(args, "--timeout", "300ms")...)
	var second getJSON
	if err := json.Unmarshal([]byte(r.stdout), &second); err != nil {
		t.Fatalf("%v\n%s", err, r.stderr)
	}
	if r.code != exitNotFound || second.BytesLeft != first.BytesLeft || second.Name != "data" {
		t.Errorf("alone: exit %d, %+v", r.code, second)
	}

	third := getJSONOf(t, append(args[3:], "--peer", addr)...)
	if third.Status != "complete" || third.Downloaded != first.BytesLeft || third.Rechecked != 0 {
		t.Errorf("%d bytes were missing; %+v", first.BytesLeft, third)
	}
	equalTrees(t, third.Path, data)

	// What the first run has saved is a .torrent like any other.
	saved := filepath.Join(dir, hashOf(t, torrent).String()+".torrent")
	mustSucceed(t, "verify", saved, dir)
	mustSucceed(t, "verify", magnetTo(t, torrent), dir)
	mustSucceed(t, "verify", magnetTo(t, torrent), filepath.Join(dir, "data"))
	seed := start(t, "seed", "--bind", "127.0.0.1", magnetTo(t, torrent), dir)
	mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", t.TempDir(), magnetTo(t, torrent, seed.addr(t, "peer")))
}

func TestSavedTorrentNeverReplacesAnotherFile(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(25, mixedFiles))
	dir, hash := t.TempDir(), hashOf(t, torrent)
	other, _ := makeTorrent(t, "other", randomFiles(26, mixedFiles))
	for _, content := range []string{"mine", readFile(t, other)} {
		writeFiles(t, dir, map[string]string{hash.String() + ".torrent": content})
		r := mustSucceed(t, "get", "--bind", "127.0.0.1", "-o", dir, magnetTo(t, torrent, seedOf(t, torrent, data)))
		if !strings.Contains(r.stderr, "is something else; move it away") {
			t.Errorf("nothing is said of it:\n%s", r.stderr)
		}
		if got := readFile(t, savedPath(dir, hash)); got != content {
			t.Errorf("it became %.40q", got)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMagnetThatNobodyHas(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	link := "magnet:?dn=a+name&xt=urn:btih:" + hash
	r := shoal(t, "get", "--bind", "127.0.0.1", "-o", t.TempDir(), "--timeout", "300ms", link)
	if r.code != exitNotFound || !strings.Contains(r.stderr, "shoal: get: nobody had anything for 1 torrent within 300ms; try again later") ||
		!strings.Contains(r.stderr, "a name: looking for peers that have the metadata\n") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	if want := "a name: nobody has sent the metadata; the same command tries again\n"; r.stdout != want {
		t.Errorf("stdout %q", r.stdout)
	}
	r = shoal(t, "get", "--bind", "127.0.0.1", "-o", t.TempDir(), "--timeout", "300ms", "--json", link)
	if !strings.HasPrefix(r.stdout, `{"info_hash":"`+hash+`","name":"a name",`) || !strings.Contains(r.stdout, `"status":"no metadata","bytes":0`) ||
		!strings.Contains(r.stdout, `"seconds":0,`) {
		t.Errorf("stdout %s", r.stdout)
	}
}

// TestMagnetIsInterrupted while it waits for a peer.
func TestMagnetIsInterrupted(t *testing.T) {
	get := start(t, "get", "--bind", "127.0.0.1", "-o", t.TempDir(), "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567")
	get.addr(t, "peer")
	if r := get.stop(); r.code != exitInterrupted || !strings.HasSuffix(r.stderr, "shoal: interrupted\n") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestMagnetDoesNotHoldUpOthers has a link that nobody has, one that fails, and
// one that is downloaded.
func TestMagnetDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	torrent, data := makeTorrent(t, "data", randomFiles(27, mixedFiles))
	bad := serveMetadata(t, "d4:name3:bade", "")
	dir := t.TempDir()
	othersAreDone := func(all []progress, stderr string) bool {
		complete := slices.ContainsFunc(all, func(p progress) bool { return !p.unknown && p.done == p.total })
		return complete && strings.Contains(stderr, "not usable")
	}
	r := shoalUntil(t, othersAreDone, "get", "--bind", "127.0.0.1", "-o", dir, "--json",
		"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567", bad, magnetTo(t, torrent, seedOf(t, torrent, data)))
	equalTrees(t, filepath.Join(dir, "data"), data)
	if r.code != exitFailed || strings.Count(r.stdout, `"status":"no metadata"`) != 2 || strings.Count(r.stdout, `"status":"complete"`) != 1 {
		t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// serveMetadata runs a peer that has any bytes for an info dictionary, and
// returns the link to it, with further parameters.
func serveMetadata(t *testing.T, infoBytes, parameters string) string {
	t.Helper()
	c, err := peer.New(peer.Config{Bind: loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	some, err := metainfo.ParseInfo([]byte("d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:" + strings.Repeat("x", 20) + "e"))
	if err != nil {
		t.Fatal(err)
	}
	hash := metainfo.InfoHash(sha1.Sum([]byte(infoBytes)))
	_, err = c.Add(peer.TorrentConfig{
		InfoHash: hash, Info: &some.Info, Metadata: []byte(infoBytes),
		Storage: piecestore.NewMemory(1), Have: bitfield.NewFull(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return metainfo.Magnet{InfoHash: hash, Peers: []string{netip.AddrPortFrom(loopback, uint16(c.Port())).String()}}.String() + parameters
}

// TestMetadataThatIsRightAndUseless has the hash that the link names.
func TestMetadataThatIsRightAndUseless(t *testing.T) {
	const numPieces = 20_000 // of 1 GiB
	huge := fmt.Sprintf("d6:lengthi%de4:name4:huge12:piece lengthi%de6:pieces%d:%se",
		numPieces<<30, 1<<30, numPieces*20, strings.Repeat("x", numPieces*20))
	for _, test := range []struct{ name, info, want string }{
		{"no bencode", "nothing", "the metadata is what the link names, but not usable"},
		{"no files", "d4:name3:bade", "the metadata is what the link names, but not usable"},
		{"named like a resume file", "d6:lengthi1e4:name15:.x" + resumeSuffix + "12:piece lengthi16384e6:pieces20:" + strings.Repeat("x", 20) + "e", "refused"},
		{"more than fits", huge, "not enough room"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			r := shoal(t, "get", "--bind", "127.0.0.1", "-o", dir, serveMetadata(t, test.info, ""))
			if r.code != exitFailed || !strings.Contains(r.stderr, test.want) {
				t.Errorf("exit %d\n%s", r.code, r.stderr)
			}
		})
	}
}

// startDHT starts a small DHT, and returns one of its nodes and where it is.
func startDHT(t *testing.T) (s *dht.Server, addr string) {
	t.Helper()
	s = newDHT(t)[0]
	return s, s.Addrs()[0].String()
}

func awaitReady(t *testing.T, s *dht.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-s.Ready():
	case <-ctx.Done():
		t.Fatal("the node does not get ready")
	}
}

// peersInDHT looks a torrent up.
func peersInDHT(t *testing.T, s *dht.Server, infoHash metainfo.InfoHash) (found []netip.AddrPort) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req := node.Request{Method: krpc.GetPeers, Target: krpc.ID(infoHash)}
	if _, err := s.Lookup(ctx, req, func(_ netip.AddrPort, r node.Reply) { found = append(found, r.Peers...) }); err != nil {
		t.Fatal(err)
	}
	return found
}

// awaitPeers waits until so many are announced for a torrent.
func awaitPeers(t *testing.T, s *dht.Server, infoHash metainfo.InfoHash, numPeers int) {
	t.Helper()
	tooLate := time.Now().Add(patience)
	for len(peersInDHT(t, s, infoHash)) < numPeers {
		if time.Now().After(tooLate) {
			t.Fatalf("%d peers are not announced", numPeers)
		}
	}
}

// TestMagnetByDHTAlone has no other way to find the seed.
func TestMagnetByDHTAlone(t *testing.T) {
	t.Parallel()
	torrent, data := makeTorrent(t, "data", randomFiles(28, mixedFiles))
	s, addr := startDHT(t)
	start(t, "seed", "--bind", "127.0.0.1", "--dht-bootstrap", addr, torrent, data).addr(t, "peer")
	awaitPeers(t, s, hashOf(t, torrent), 1)
	dir := t.TempDir()
	got := getJSONOf(t, "--dht-bootstrap", addr, "-o", dir, magnetTo(t, torrent))
	if got.Status != "complete" {
		t.Errorf("get says %+v", got)
	}
	equalTrees(t, filepath.Join(dir, "data"), data)
}

// TestTorrentNamesItsDHTNodes joins by the torrent's "nodes", and no flag.
func TestTorrentNamesItsDHTNodes(t *testing.T) {
	s, addr := startDHT(t)
	torrent, data := makeTorrent(t, "data", randomFiles(29, mixedFiles), "--node", addr)
	start(t, "seed", "--bind", "127.0.0.1", torrent, data).addr(t, "peer")
	awaitPeers(t, s, hashOf(t, torrent), 1)
	dir := t.TempDir()
	getJSONOf(t, "-o", dir, torrent)
	equalTrees(t, filepath.Join(dir, "data"), data)
}

// TestPortMessagesJoinTheDHT has a node know others only by the peer that it is
// connected to (BEP 5).
func TestPortMessagesJoinTheDHT(t *testing.T) {
	s, addr := startDHT(t)
	torrent, data := makeTorrent(t, "data", randomFiles(30, mixedFiles))
	seed := start(t, "seed", "--bind", "127.0.0.1", "--dht-bootstrap", addr, torrent, data)
	seedAddr := seed.addr(t, "peer")
	awaitPeers(t, s, hashOf(t, torrent), 1)
	// It seeds when it is done, and is found in the DHT then.
	start(t, "get", "--bind", "127.0.0.1", "--peer", seedAddr, "--no-tracker", "--seed", "-o", t.TempDir(), torrent)
	awaitPeers(t, s, hashOf(t, torrent), 2)
}

// TestPrivateTorrentsStayOutOfTheDHT seeds one of each kind (BEP 27).
func TestPrivateTorrentsStayOutOfTheDHT(t *testing.T) {
	s, addr := startDHT(t)
	public, publicData := makeTorrent(t, "public", randomFiles(31, mixedFiles))
	private, privateData := makeTorrent(t, "private", randomFiles(31, mixedFiles), "--private")
	start(t, "seed", "--bind", "127.0.0.1", "--dht-bootstrap", addr, private, privateData, public, publicData)
	awaitPeers(t, s, hashOf(t, public), 1)
	if found := peersInDHT(t, s, hashOf(t, private)); len(found) > 0 {
		t.Errorf("the private torrent is announced by %v", found)
	}
}

// TestPrivateMagnet learns from the metadata that the torrent is private.
func TestPrivateMagnet(t *testing.T) {
	t.Parallel()
	_, addr := startDHT(t)
	tracker := start(t, "tracker", "run", "--open", "--http", "127.0.0.1:0")
	url := "http://" + tracker.addr(t, "tracker") + "/announce"
	torrent, data := makeTorrent(t, "data", randomFiles(32, mixedFiles), "--announce", url, "--private")
	// The seed lets nobody in whom the tracker has not named, and asks it but
	// once in the time of a test: somebody of this address must be there before.
	somebody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer somebody.Close()
	hash := hashOf(t, torrent)
	resp, err := http.Get(fmt.Sprintf("%s?info_hash=%s&peer_id=%s&port=%d&uploaded=0&downloaded=0&left=1&compact=1&event=started",
		url, neturl.QueryEscape(string(hash[:])), strings.Repeat("p", 20), somebody.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	start(t, "seed", "--bind", "127.0.0.1", torrent, data).addr(t, "peer")
	if _, err := somebody.Accept(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := mustSucceed(t, "get", "--bind", "127.0.0.1", "--dht-bootstrap", addr, "-o", dir, magnetTo(t, torrent)+"&tr="+url)
	if !strings.Contains(r.stderr, "data: it is private; going on without DHT and peer exchange\n") {
		t.Errorf("stderr\n%s", r.stderr)
	}
	equalTrees(t, filepath.Join(dir, "data"), data)
}

// publish puts the value of a mutable torrent into the DHT (BEP 46), and
// returns the link to it.
func publish(t *testing.T, s *dht.Server, seq int64, value []byte) string {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{46}, ed25519.SeedSize))
	item := &node.Item{Value: value, Key: key.Public().(ed25519.PublicKey), Salt: []byte("a salt"), Seq: seq}
	item.Sig = ed25519.Sign(key, krpc.AppendSigned(nil, item.Salt, seq, value))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	put := node.Request{Method: krpc.Get, Target: krpc.MutableTarget(item.Key, item.Salt), Store: true, Item: item}
	if result, err := s.Lookup(ctx, put, nil); err != nil || result.Stored == 0 {
		t.Fatalf("put: %+v, %v", result, err)
	}
	return "magnet:?xs=urn:btpk:" + hex.EncodeToString(item.Key) + "&s=" + hex.EncodeToString(item.Salt)
}

func TestMutableMagnet(t *testing.T) {
	t.Parallel()
	torrent, data := makeTorrent(t, "data", randomFiles(33, mixedFiles))
	hash, dir, seed := hashOf(t, torrent), t.TempDir(), seedOf(t, torrent, data)
	for _, saved := range []bool{false, true} {
		s, addr := startDHT(t)
		publish(t, s, 6, krpc.AppendTorrentValue(nil, krpc.ID{1}))
		link := publish(t, s, 7, krpc.AppendTorrentValue(nil, krpc.ID(hash)))
		r := mustSucceed(t, "get", "--bind", "127.0.0.1", "--dht-bootstrap", addr, "--peer", seed, "-o", dir, link)
		if !strings.Contains(r.stderr, ": version 7 is the torrent "+hash.String()+"\n") {
			t.Errorf("saved %v: stderr\n%s", saved, r.stderr)
		}
		if got := strings.HasPrefix(r.stdout, "data: complete already"); got != saved {
			t.Errorf("saved %v: stdout %s", saved, r.stdout)
		}
		equalTrees(t, filepath.Join(dir, "data"), data)
	}
}

func TestMutableMagnetThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	s, addr := startDHT(t)
	link := publish(t, s, 8, []byte("5:hello"))
	r := shoal(t, "get", "--bind", "127.0.0.1", "--dht-bootstrap", addr, "-o", t.TempDir(), link)
	if r.code != exitFailed || !strings.Contains(r.stderr, "names no torrent (BEP 46)") {
		t.Errorf("no torrent: exit %d\n%s", r.code, r.stderr)
	}
	r = shoal(t, "get", "--bind", "127.0.0.1", "--dht-bootstrap", addr, "--timeout", "300ms", "-o", t.TempDir(), link+"00")
	if r.code != exitNotFound || !strings.Contains(r.stderr, "looking for the newest version in the DHT") ||
		!strings.HasSuffix(r.stdout, "…: the DHT has no version of it; the same command tries again\n") {
		t.Errorf("another salt: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestNewestVersionCounts(t *testing.T) {
	old, young := &node.Item{Seq: -1}, &node.Item{Seq: 2}
	for _, test := range []struct{ a, b, want *node.Item }{
		{nil, nil, nil}, {nil, old, old}, {old, nil, old}, {old, young, young}, {young, old, young},
	} {
		if got := newer(test.a, test.b); got != test.want {
			t.Errorf("of %v and %v: %v", test.a, test.b, got)
		}
	}
}

// TestMutableMagnetIsKeptAlive has a node join that was not there when the item
// was stored: whoever downloads stores it again (BEP 46).
func TestMutableMagnetIsKeptAlive(t *testing.T) {
	t.Parallel()
	s, addr := startDHT(t)
	torrent, _ := makeTorrent(t, "data", randomFiles(34, mixedFiles))
	link := publish(t, s, 1, krpc.AppendTorrentValue(nil, krpc.ID(hashOf(t, torrent))))
	late, err := dht.New(dht.Config{Bind: loopback, Bootstrap: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { late.Close(context.Background()) })
	awaitReady(t, late)
	start(t, "get", "--bind", "127.0.0.1", "--dht-bootstrap", addr, "--dht-bootstrap", late.Addrs()[0].String(), "-o", t.TempDir(), link)
	for tooLate := time.Now().Add(patience); late.Stats().Stored.Items == 0; {
		if time.Now().After(tooLate) {
			t.Fatal("nobody stores it again")
		}
	}
}

// fakeAnnouncement is a torrent that wants nothing.
type fakeAnnouncement struct{ peer.Announcement }

func (fakeAnnouncement) InfoHash() metainfo.InfoHash                   { return metainfo.InfoHash{1} }
func (fakeAnnouncement) Port() int                                     { return 1 }
func (fakeAnnouncement) Progress() (uploaded, downloaded, left int64)  { return 0, 0, 1 }
func (fakeAnnouncement) Found(addrs []netip.AddrPort, _ engine.Source) {}
func (fakeAnnouncement) Completed() <-chan struct{}                    { return nil }
func (fakeAnnouncement) NeedPeers() <-chan struct{}                    { return nil }

// TestDHTFinderTurnsAside leaves the DHT though the torrent goes on.
func TestDHTFinderTurnsAside(t *testing.T) {
	s, _ := startDHT(t)
	f := newDHTFinder(s, nil)
	left := make(chan error)
	go func() { left <- f.Find(t.Context(), fakeAnnouncement{}) }()
	awaitPeers(t, s, metainfo.InfoHash{1}, 1) // its first announce
	f.turnAside()
	if err := <-left; err != nil {
		t.Error(err)
	}
}

// TestNoPEX looks at what a seed offers in its extension handshake (BEP 10).
func TestNoPEX(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(35, mixedFiles))
	for flag, want := range map[string]bool{"--no-pex": false, "--quiet": true} {
		nc, err := net.Dial("tcp", seedOf(t, torrent, data, flag))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(wire.AppendHandshake(nil, wire.NewHandshake(hashOf(t, torrent), metainfo.PeerID{1}))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, wire.HandshakeLen)); err != nil {
			t.Fatal(err)
		}
		for dec := wire.NewDecoder(nc, 0); ; {
			m, err := dec.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m.Type != wire.Extended {
				continue
			}
			h, err := wire.ParseExtHandshake(m.Payload)
			if _, offered := h.ID(wire.ExtPEX); err != nil || offered != want {
				t.Errorf("%s: %+v, %v", flag, h, err)
			}
			break
		}
	}
}

func TestReachableAddrs(t *testing.T) {
	if got := reachableAddrs(loopback); len(got) != 1 || got[0] != loopback {
		t.Errorf("of a client that is bound: %v", got)
	}
	// Of others it depends on the machine, but never is it nothing.
	if got := reachableAddrs(netip.IPv6Unspecified()); len(got) == 0 || len(got) > maxReachable || got[0] != reachableAddr(netip.Addr{}) {
		t.Errorf("of one that is not: %v", got)
	}
}

func TestShowMutableMagnet(t *testing.T) {
	const link = "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e"
	got := mustSucceed(t, "show", link).stdout
	if want := "public key 8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e\nsalt       6e\n"; got != want {
		t.Errorf("show says %q", got)
	}
}
