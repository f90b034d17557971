package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bscan"
	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/server"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// endpoints are where a tracker is asked: HTTP and UDP at the same addresses.
// One without IPv6 has no second one.
type endpoints struct{ v4, v6 netip.AddrPort }

// foreignAddr draws an address for a tracker of others. They cannot choose a
// port themselves, and one that was free a moment ago may be somebody's by the
// time that they listen: below the system's own range, and on an address that
// no other test has, it is not.
func foreignAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 62, byte(rand.IntN(256)), byte(1 + rand.IntN(254))}), uint16(10_000+rand.IntN(20_000)))
}

func runShoal(t *testing.T, torrents []metainfo.InfoHash) (at endpoints) {
	cfg := server.Config{Whitelist: server.NewTorrentList(torrents...)}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	at.v4 = serveBoth(t, s, "127.0.0.1")
	at.v6 = serveBoth(t, s, "::1")
	return at
}

// serveBoth serves HTTP and UDP at one port of an address.
func serveBoth(t *testing.T, s *server.Server, host string) netip.AddrPort {
	ln, l := listenBoth(t, host)
	server.ServeUntilEnd(t, func(ctx context.Context) error { return s.Run(ctx, ln) })
	server.ServeUntilEnd(t, func(ctx context.Context) error { return s.RunUDP(ctx, l) })
	return l.Addr()
}

// listenBoth listens at a port of an address that is free for TCP and for UDP:
// the system looks for one that is free for one of them, and a program that
// runs beside may have the other.
func listenBoth(t *testing.T, host string) (net.Listener, *server.UDPListener) {
	for {
		l, err := server.ListenUDP(t.Context(), net.JoinHostPort(host, "0"))
		if err != nil {
			t.Skip("no such address on this machine: ", err)
		}
		ln, err := net.Listen("tcp", l.Addr().String())
		if err == nil {
			return ln, l
		}
		l.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

// runOpentracker starts one for the torrents. Debian's has no IPv6.
func runOpentracker(t *testing.T, torrents []metainfo.InfoHash) endpoints {
	program, err := exec.LookPath("opentracker")
	if err != nil || os.Geteuid() != 0 {
		skip(t, "there is no opentracker to compare with, or it cannot be started: it needs root")
	}
	folder := t.TempDir()
	list := strings.Join(hexOf(torrents), "\n") + "\n"
	if err := os.WriteFile(filepath.Join(folder, "whitelist"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	// It reads the list as nobody, whatever the umask.
	for path, mode := range map[string]os.FileMode{filepath.Dir(folder): 0o755, folder: 0o755, filepath.Join(folder, "whitelist"): 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	at := foreignAddr()
	ip, port := at.Addr().String(), fmt.Sprint(at.Port())
	runForeign(t, at, exec.Command(program, "-i", ip, "-p", port, "-P", port, "-d", folder, "-u", "nobody", "-w", "whitelist"))
	awaitList(t, at, torrents[malformed])
	return endpoints{v4: at}
}

// awaitList waits until opentracker has read its list, which it does when it
// listens already. Until then it refuses every torrent, over UDP by an answer
// that ends after its header.
func awaitList(t *testing.T, at netip.AddrPort, h metainfo.InfoHash) {
	announce := fmt.Sprintf("http://%v/announce?info_hash=%s&port=1&left=1", at, escaped(h[:]))
	await(t, fmt.Sprintf("opentracker does not track %v", h), nil, func() bool {
		resp, err := http.Get(announce)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return strings.HasPrefix(string(body), "d8:complete")
	})
}

// patience is how long a program of others may take to begin, or to answer: it
// is only for the tests that fail.
const patience = 5 * time.Minute

// await looks again and again, with pauses that leave the machine to who is
// waited for, until something is so. It fails when ended is closed.
func await(t *testing.T, failure string, ended <-chan struct{}, isSo func() bool) {
	t.Helper()
	tooLate, ticker := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer ticker.Stop()
	for !isSo() {
		select {
		case <-ticker.C:
		case <-ended:
			t.Fatal(failure)
		case <-tooLate:
			t.Fatal(failure)
		}
	}
}

// escaped is a string of bytes as a query has it.
func escaped(b []byte) string { return strings.ReplaceAll(url.QueryEscape(string(b)), "+", "%20") }

// nodeModules is where .ci/run installs npm's tracker.
const nodeModules = "../../.ci/node_modules"

// runNPM starts npm's bittorrent-tracker for the torrents.
func runNPM(t *testing.T, torrents []metainfo.InfoHash) endpoints {
	index, err := filepath.Abs(filepath.Join(nodeModules, "bittorrent-tracker", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, noIndex := os.Stat(index); err != nil || noIndex != nil {
		skip(t, "there is no node, or no bittorrent-tracker of npm in .ci/node_modules: \".ci/run install\" installs it")
	}
	at := foreignAddr()
	args := append([]string{"testdata/npm_tracker.mjs", index, at.Addr().String(), fmt.Sprint(at.Port())}, hexOf(torrents)...)
	both := endpoints{v4: at, v6: netip.AddrPortFrom(announcer6, at.Port())}
	runForeign(t, both.v6, exec.Command(node, args...)) // where it listens last
	return both
}

// skip leaves out what needs a program of others; where all checks must run, it
// fails.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func hexOf(hashes []metainfo.InfoHash) (all []string) {
	for _, h := range hashes {
		all = append(all, fmt.Sprintf("%x", h[:]))
	}
	return all
}

// runForeign starts a tracker and waits until it listens.
func runForeign(t *testing.T, at netip.AddrPort, process *exec.Cmd) {
	var printed bytes.Buffer
	process.Stdout, process.Stderr = &printed, &printed
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { process.Wait(); close(ended) }()
	t.Cleanup(func() {
		process.Process.Kill()
		if <-ended; t.Failed() {
			t.Logf("%s printed %q", process.Path, printed.String())
		}
	})
	await(t, process.Path+" does not listen", ended, func() bool {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// subject is a tracker that is asked.
type subject struct {
	t  *testing.T
	at endpoints
	// udp and http have sockets for each announcer.
	udp         map[netip.Addr]*udpAsker
	http        map[netip.Addr]*http.Transport
	transaction uint32
	ipv4OverUDP bool // all peers in its packets are IPv4
}

type udpAsker struct {
	net.Conn
	id uint64
}

func newSubject(t *testing.T, at endpoints) *subject {
	s := &subject{t: t, at: at, udp: map[netip.Addr]*udpAsker{}, http: map[netip.Addr]*http.Transport{}}
	for _, from := range announcers4 {
		s.connect(from)
	}
	if s.has6() {
		s.connect(announcer6)
	}
	return s
}

func (s *subject) has6() bool { return s.at.v6.IsValid() }

func (s *subject) serverFor(from netip.Addr) netip.AddrPort {
	if from.Is6() {
		return s.at.v6
	}
	return s.at.v4
}

func (s *subject) connect(from netip.Addr) {
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(s.serverFor(from)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	s.http[from] = &http.Transport{DialContext: dialer.DialContext}
	s.t.Cleanup(s.http[from].CloseIdleConnections)
	s.udp[from] = &udpAsker{conn, udp.ProtocolID}
}

// renewIDs gets new connection ids. BEP 15: "A client can use a connection ID
// until one minute after it has received it."
func (s *subject) renewIDs() {
	for _, a := range s.udp {
		h, body := s.exchange(a, udp.Connect, nil)
		if h.Action != udp.Connect || len(body) != 8 {
			s.t.Fatalf("connect: %+v %x", h, body)
		}
		a.id = binary.BigEndian.Uint64(body)
	}
}

// sourcePorts are those of the sockets.
func (s *subject) sourcePorts() map[netip.Addr]uint16 {
	ports := map[netip.Addr]uint16{}
	for from, a := range s.udp {
		ports[from] = a.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	return ports
}

// exchange sends a request and returns its answer.
func (s *subject) exchange(a *udpAsker, action udp.Action, body []byte) (udp.ResponseHeader, []byte) {
	s.transaction++
	h := udp.RequestHeader{ConnectionID: a.id, Action: action, TransactionID: s.transaction}
	if action == udp.Connect {
		h.ConnectionID = udp.ProtocolID
	}
	if _, err := a.Write(append(udp.AppendRequestHeader(nil, h), body...)); err != nil {
		s.t.Fatal(err)
	}
	a.SetReadDeadline(time.Now().Add(patience))
	packet := make([]byte, 4096)
	for {
		n, err := a.Read(packet)
		if err != nil {
			s.t.Fatalf("%v: no answer: %v", action, err)
		}
		answer, rest, err := udp.ParseResponseHeader(packet[:n])
		if err != nil {
			s.t.Fatalf("%v: the answer %x: %v", action, packet[:n], err)
		}
		if answer.TransactionID == s.transaction {
			return answer, rest
		}
	}
}

func (s *subject) ask(st *step) answer {
	switch {
	case st.bad >= 0 && st.overUDP:
		return answer{refused: !s.answers(s.udp[st.from], badPackets[st.bad].make(s.udp[st.from].id))}
	case st.bad >= 0:
		_, refused := s.get(st, badQueries[st.bad].target)
		return answer{refused: refused}
	case st.overUDP:
		return s.askUDP(st)
	}
	return s.askHTTP(st)
}

// badPacket is no proper request, or one that looks odd.
type badPacket struct {
	make func(id uint64) []byte
	fine bool // it is to be answered
	// otherwise is the difference of those that do the opposite.
	otherwise difference
}

const badTransaction = 0xbadbad

func badHeader(id uint64, action udp.Action) []byte {
	return udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: id, Action: action, TransactionID: badTransaction})
}

func badAnnounce(id uint64) []byte {
	return udp.AppendAnnounceRequest(badHeader(id, udp.Announce), &udp.AnnounceRequest{InfoHash: torrentHash(malformed), Port: 1, NumWant: -1})
}

// badEvent changes the event of an announce to one that BEP 15 does not have.
func badEvent(announce []byte) []byte {
	announce[83] = 9
	return announce
}

var badPackets = []badPacket{
	{make: func(id uint64) []byte { return badHeader(id, udp.Connect)[:15] }},
	{make: func(uint64) []byte { return badHeader(udp.ProtocolID+1, udp.Connect) }},
	{make: func(id uint64) []byte { return badAnnounce(id)[:97] }},
	{make: func(id uint64) []byte { return badAnnounce(id ^ 1<<40) }},
	{make: func(id uint64) []byte { return badHeader(id, 9) }},
	{make: func(id uint64) []byte { return append(badAnnounce(id), 0, 0) }, fine: true}, // as aria2 does
	{make: func(id uint64) []byte { return badEvent(badAnnounce(id)) }, fine: true, otherwise: otherEvents},
	{make: func(id uint64) []byte { return udp.AppendURLData(badAnnounce(id), "/announce") }, fine: true},
}

// answers reports whether a packet gets an answer other than an error. What
// gets none is told by the answer to a connect that is sent behind it.
func (s *subject) answers(a *udpAsker, packet []byte) bool {
	if _, err := a.Write(packet); err != nil {
		s.t.Fatal(err)
	}
	s.transaction++
	a.Write(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID, Action: udp.Connect, TransactionID: s.transaction}))
	a.SetReadDeadline(time.Now().Add(patience))
	reply := make([]byte, 4096)
	answered := false
	for {
		n, err := a.Read(reply)
		if err != nil {
			s.t.Fatal(err)
		}
		h, _, err := udp.ParseResponseHeader(reply[:n])
		switch {
		case err != nil:
			s.t.Fatalf("%x: %v", reply[:n], err)
		case h.TransactionID == badTransaction:
			answered = h.Action != udp.Error
		case h.TransactionID == s.transaction:
			return answered
		}
	}
}

func (s *subject) askUDP(st *step) (got answer) {
	asker := s.udp[st.from]
	if st.scrape != nil {
		var body []byte
		for _, torrent := range st.scrape {
			h := torrentHash(torrent)
			body = append(body, h[:]...)
		}
		h, body := s.exchange(asker, udp.Scrape, body)
		for rest := body; len(rest) >= udp.ScrapeStatsLen; {
			var stats tracker.ScrapeStats
			stats, rest, _ = udp.ParseScrapeStats(rest)
			got.counts = append(got.counts, stats)
		}
		got.refused = h.Action != udp.Scrape
		return got
	}
	h, body := s.exchange(asker, udp.Announce, udp.AppendAnnounceRequest(nil, &udp.AnnounceRequest{
		InfoHash: torrentHash(st.torrent), PeerID: st.peerID, Port: st.port, Left: st.left, NumWant: st.numWant, Event: tracker.ParseEvent(st.event),
	}))
	if h.Action == udp.Error || len(body) == 0 {
		return answer{refused: true, empty: len(body) == 0}
	}
	resp, list, err := udp.ParseAnnounceResponse(body)
	if err != nil {
		s.t.Fatalf("%+v: the answer %x: %v", st, body, err)
	}
	got.Complete, got.Incomplete, got.noDownloaded = int(resp.Seeders), int(resp.Leechers), true
	got.peers = s.parsePeers(list, st.from.Is6() && !s.ipv4OverUDP)
	return got
}

func (s *subject) parsePeers(list []byte, is6 bool) []netip.AddrPort {
	parse := compact.Parse4
	if is6 {
		parse = compact.Parse6
	}
	peers, err := parse(list)
	if err != nil {
		s.t.Fatal(err)
	}
	return peers
}

// get returns the body of the answer to a query. refused says that it is no
// bencoded one, or has a failure reason.
func (s *subject) get(st *step, target string) (body bscan.Value, refused bool) {
	u := &url.URL{Scheme: "http", Host: s.serverFor(st.from).String(), Opaque: target}
	resp, err := s.http[st.from].RoundTrip((&http.Request{URL: u, Header: http.Header{}}).WithContext(s.t.Context()))
	if err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	if resp.StatusCode != http.StatusOK {
		return body, true
	}
	body, _, err = bscan.Scan(raw, bscan.Limits{})
	if err != nil {
		s.t.Fatalf("%s: %q: %v", target, raw, err)
	}
	return body, body.Get("failure reason").Kind() != bscan.None
}

func (s *subject) askHTTP(st *step) (got answer) {
	body, refused := s.get(st, st.target())
	if refused {
		return answer{refused: true}
	}
	if st.scrape != nil {
		got.scraped = map[int]tracker.ScrapeStats{}
		for hash, entry := range body.Get("files").Dict() {
			torrent := int(hash[len(hash)-1] - 'a')
			got.garbled = got.garbled || len(hash) != 20
			_, again := got.scraped[torrent]
			got.twice = got.twice || again
			got.scraped[torrent], _ = statsOf(entry)
		}
		return got
	}
	stats, hasDownloaded := statsOf(body)
	got.ScrapeStats, got.noDownloaded = stats, !hasDownloaded
	list, isCompact := body.Get("peers").Str()
	if !isCompact {
		got.isList, got.peers = true, s.parseList(body.Get("peers"))
		return got
	}
	list6, _ := body.Get("peers6").Str()
	got.peers = append(s.parsePeers(list, false), s.parsePeers(list6, true)...)
	return got
}

func statsOf(v bscan.Value) (stats tracker.ScrapeStats, hasDownloaded bool) {
	complete, _ := v.Get("complete").Int()
	incomplete, _ := v.Get("incomplete").Int()
	downloaded, hasDownloaded := v.Get("downloaded").Int()
	return tracker.ScrapeStats{Complete: int(complete), Incomplete: int(incomplete), Downloaded: int(downloaded)}, hasDownloaded
}

func (s *subject) parseList(list bscan.Value) (peers []netip.AddrPort) {
	for entry := range list.List() {
		ip, _ := entry.Get("ip").Str()
		addr, err := netip.ParseAddr(string(ip))
		port, ok := entry.Get("port").Int()
		if err != nil || !ok {
			s.t.Fatalf("peer %q: %v", entry.Bytes(), err)
		}
		peers = append(peers, netip.AddrPortFrom(addr, uint16(port)))
	}
	return peers
}

// target is the query of a step.
func (st *step) target() string {
	var q strings.Builder
	if st.scrape != nil {
		q.WriteString("/scrape?")
		for _, torrent := range st.scrape {
			h := torrentHash(torrent)
			q.WriteString("info_hash=" + escaped(h[:]) + "&")
		}
		return strings.TrimSuffix(q.String(), "&")
	}
	h := torrentHash(st.torrent)
	fmt.Fprintf(&q, "/announce?info_hash=%s&peer_id=%s&port=%d&uploaded=0&downloaded=0&left=%d",
		escaped(h[:]), st.peerID[:], st.port, st.left)
	if st.hasEvent {
		q.WriteString("&event=" + st.event)
	}
	if !st.noWant {
		fmt.Fprintf(&q, "&numwant=%d", st.numWant)
	}
	if st.compact != "" {
		q.WriteString("&compact=" + st.compact)
	}
	return q.String()
}
