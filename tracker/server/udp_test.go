package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

var (
	someone4 = netip.MustParseAddrPort("198.51.100.7:40000")
	someone6 = netip.MustParseAddrPort("[2001:db8::7]:40000")
)

func TestConnectionIDs(t *testing.T) {
	ids := newConnectionIDs(2)
	addr := someone4.Addr()
	begin := 1000 * time.Hour
	id := ids[0].issue(begin, addr)
	for _, c := range []struct {
		after    time.Duration
		ok, late bool
	}{
		{0, true, false}, {time.Minute, true, false}, {2 * time.Minute, true, false}, // BEP 15
		{5 * time.Minute, true, true}, {6 * time.Minute, true, true},
		{7 * time.Minute, false, false}, {time.Hour, false, false},
		{256 * idTick, false, false}, // when the last byte is the same again
		{-time.Minute, false, false},
	} {
		if ok, late := ids[1].check(begin+c.after, addr, id); ok != c.ok || late != c.late {
			t.Errorf("after %v: ok %v, late %v", c.after, ok, late)
		}
	}
	for bit := range 64 {
		if ok, _ := ids[0].check(begin, addr, id^1<<bit); ok {
			t.Errorf("with bit %d turned, it is still good", bit)
		}
	}
	if ok, _ := ids[0].check(begin, someone6.Addr(), id); ok {
		t.Error("it is good for another address")
	}
	other := newConnectionIDs(1)
	if ok, _ := other[0].check(begin, addr, id); ok {
		t.Error("it is good for another tracker")
	}
}

// asker sends packets to a handler as one client does.
type asker struct {
	t    testing.TB
	u    *udpHandler
	from netip.AddrPort
	now  time.Duration
}

func newAsker(t testing.TB, cfg Config) *asker {
	return &asker{t: t, u: newUDPHandlers(newServer(t, cfg), 1)[0], from: someone4}
}

// send returns the answer to a packet, nil if there is none.
func (a *asker) send(packet []byte) []byte {
	a.t.Helper()
	reply := a.u.handle(a.now, packet, a.from, make([]byte, 0, maxUDPReply))
	if cap(reply) != maxUDPReply {
		a.t.Errorf("a reply of %d bytes", len(reply))
	}
	if len(reply) == 0 {
		return nil
	}
	return reply
}

const transaction = 0x0a0b0c0d

func (a *asker) request(action udp.Action, body []byte) []byte {
	id := a.u.ids.issue(a.now, a.from.Addr().Unmap())
	return append(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: id, Action: action, TransactionID: transaction}), body...)
}

// ask sends a request with a good connection id and returns the body of the
// answer.
func (a *asker) ask(action udp.Action, body []byte) []byte {
	a.t.Helper()
	h, answer, err := udp.ParseResponseHeader(a.send(a.request(action, body)))
	if err != nil || h != (udp.ResponseHeader{Action: action, TransactionID: transaction}) {
		a.t.Fatalf("answer to %v: %+v %q, %v", action, h, answer, err)
	}
	return answer
}

// announce returns the counts and the peers of the answer.
func (a *asker) announce(r udp.AnnounceRequest) (udp.AnnounceResponse, []netip.AddrPort) {
	a.t.Helper()
	answer, list, err := udp.ParseAnnounceResponse(a.ask(udp.Announce, udp.AppendAnnounceRequest(nil, &r)))
	if err != nil {
		a.t.Fatal(err)
	}
	parse := compact.Parse4
	if a.from.Addr().Is6() && !a.from.Addr().Is4In6() {
		parse = compact.Parse6
	}
	peers, err := parse(list)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer, peers
}

func (a *asker) wantSilence(what string, packet []byte) {
	a.t.Helper()
	if reply := a.send(packet); reply != nil {
		a.t.Errorf("%s: answer %x", what, reply)
	}
}

func TestUDPConnect(t *testing.T) {
	a := newAsker(t, Config{})
	packet := udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID, Action: udp.Connect, TransactionID: transaction})
	for _, packet := range [][]byte{packet, append(packet, "and more"...)} {
		reply := a.send(packet)
		if len(reply) != udp.ConnectResponseLen {
			t.Fatalf("%d bytes answer %d", len(reply), len(packet))
		}
		h, body, _ := udp.ParseResponseHeader(reply)
		id, err := udp.ParseConnectionID(body)
		if h != (udp.ResponseHeader{Action: udp.Connect, TransactionID: transaction}) || err != nil || id != a.u.ids.issue(0, a.from.Addr()) {
			t.Errorf("%+v, %x, %v", h, id, err)
		}
	}
}

// Whatever may come from a forged source gets no answer, or none that is
// longer than it.
func TestUDPSilence(t *testing.T) {
	a := newAsker(t, Config{})
	header := func(id uint64, action udp.Action) []byte {
		return udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: id, Action: action})
	}
	id := a.u.ids.issue(0, a.from.Addr())
	body := make([]byte, udp.AnnounceRequestLen-udp.RequestHeaderLen)
	a.wantSilence("nothing", nil)
	a.wantSilence("a short connect", header(udp.ProtocolID, udp.Connect)[:15])
	a.wantSilence("a connect without the constant", header(1, udp.Connect))
	a.wantSilence("a connect with an id", header(id, udp.Connect))
	a.wantSilence("an announce with a wrong id", append(header(id+1<<8, udp.Announce), body...))
	a.wantSilence("an announce with the constant", append(header(udp.ProtocolID, udp.Announce), body...))
	a.wantSilence("a scrape with a wrong id", append(header(id^1, udp.Scrape), body...))
	a.wantSilence("a short announce", append(header(id, udp.Announce), body[1:]...))
	a.wantSilence("an error", header(id, udp.Error))
	a.wantSilence("an unknown action", header(id, 4))
	a.from = netip.AddrPortFrom(a.from.Addr(), 0)
	a.wantSilence("port 0", header(udp.ProtocolID, udp.Connect))
	a.from = someone6
	a.wantSilence("another's id", append(header(id, udp.Announce), body...))
	a.u.tell()
	if st := a.u.server.Stats(); st.UDPBadIDs != 5 || st.UDPMalformed != 7 || st.Announces != 0 {
		t.Errorf("%+v", st)
	}
}

func TestUDPAnnounceAndScrape(t *testing.T) {
	for _, from := range []netip.AddrPort{someone4, someone6, netip.MustParseAddrPort("[::ffff:198.51.100.7]:1")} {
		a := newAsker(t, Config{Interval: time.Hour})
		a.from = from
		a.announce(udp.AnnounceRequest{Port: 1, NumWant: -1, Event: tracker.Completed})
		a.announce(udp.AnnounceRequest{Port: 2, NumWant: -1, Left: 1})
		answer, peers := a.announce(udp.AnnounceRequest{Port: 3, NumWant: -1, Left: -1})
		if answer != (udp.AnnounceResponse{IntervalSec: 3600, Leechers: 2, Seeders: 1}) || len(peers) != 2 {
			t.Errorf("%v: %+v, %v", from, answer, peers)
		}
		if addr := from.Addr().Unmap(); len(peers) > 0 && peers[0].Addr() != addr {
			t.Errorf("%v: peers %v", from, peers)
		}
		if _, peers = a.announce(udp.AnnounceRequest{Port: 3, NumWant: 1, Left: 1}); len(peers) != 1 {
			t.Errorf("%v: %d peers, one wanted", from, len(peers))
		}
		answer, peers = a.announce(udp.AnnounceRequest{Port: 3, NumWant: -1, Left: 1, Event: tracker.Stopped})
		if answer.Leechers != 1 || len(peers) != 0 {
			t.Errorf("%v: stopped: %+v, %v", from, answer, peers)
		}
		other := metainfo.InfoHash{9}
		body := append(other[:], make([]byte, 20+5)...) // and bytes that are no info-hash
		body = a.ask(udp.Scrape, body)
		first, body, err1 := udp.ParseScrapeStats(body)
		second, body, err2 := udp.ParseScrapeStats(body)
		if first != (tracker.ScrapeStats{}) || second != (tracker.ScrapeStats{Complete: 1, Incomplete: 1, Downloaded: 1}) ||
			err1 != nil || err2 != nil || len(body) != 0 {
			t.Errorf("%v: scrape %+v, %+v and %d bytes", from, first, second, len(body))
		}
	}
}

// Announces over HTTP and UDP meet in one swarm, and each answer over UDP has
// peers of its own family alone.
func TestUDPSharesSwarmsWithHTTP(t *testing.T) {
	a := newAsker(t, Config{})
	hash := metainfo.InfoHash([]byte(hashA))
	get(t, a.u.server, "10.0.0.1:1", announceOf(idA, 6881, ""))
	get(t, a.u.server, "[2001:db8::1]:1", announceOf(idB, 6882, ""))
	answer, peers := a.announce(udp.AnnounceRequest{InfoHash: hash, Port: 3, NumWant: -1, Left: 1})
	if answer.Leechers != 3 || len(peers) != 1 || peers[0].String() != "10.0.0.1:6881" {
		t.Errorf("%+v, %v", answer, peers)
	}
}

// Announces are 98 bytes, of aria2 100, and of whom has a path in the URL more.
func TestUDPAnnounceLengths(t *testing.T) {
	a := newAsker(t, Config{})
	r := udp.AnnounceRequest{Port: 1}
	for _, options := range []string{"", "\x00\x00", "\x02\x09/announce", "\x02\xffcut off", string(make([]byte, 1400))} {
		answer := a.ask(udp.Announce, append(udp.AppendAnnounceRequest(nil, &r), options...))
		if len(answer) != udp.AnnounceResponseLen-udp.ResponseHeaderLen {
			t.Errorf("options %q: %d bytes", options, len(answer))
		}
	}
}

func TestUDPRepliesFitIntoAPacket(t *testing.T) {
	for from, want := range map[netip.AddrPort]int{someone4: 200, someone6: 67} {
		a := newAsker(t, Config{NumWant: 1000, MaxNumWant: 1000})
		for port := range uint16(300) {
			a.from = from
			a.announce(udp.AnnounceRequest{Port: port + 1, Left: 1})
		}
		if from == someone4 {
			want = (maxUDPReply - udp.AnnounceResponseLen) / compact.Len4
		}
		for _, numWant := range []int32{-1, 1 << 30, int32(want)} {
			if _, peers := a.announce(udp.AnnounceRequest{Port: 999, Left: 1, NumWant: numWant}); len(peers) != want {
				t.Errorf("%v: %d peers for %d, want %d", from, len(peers), numWant, want)
			}
		}
		if body := a.ask(udp.Scrape, make([]byte, 20*(udp.MaxScrape+1))); len(body) != udp.ScrapeStatsLen*udp.MaxScrape {
			t.Errorf("%d bytes answer too large a scrape", len(body))
		}
	}
	a := newAsker(t, Config{})
	for port := range uint16(300) {
		a.announce(udp.AnnounceRequest{Port: port + 1, Left: 1})
	}
	if _, peers := a.announce(udp.AnnounceRequest{Port: 999, Left: 1, NumWant: -1}); len(peers) != 50 {
		t.Errorf("%d peers by default", len(peers))
	}
}

func TestUDPWhitelist(t *testing.T) {
	listed := metainfo.InfoHash{1}
	a := newAsker(t, Config{Whitelist: NewTorrentList(listed)})
	a.announce(udp.AnnounceRequest{InfoHash: listed, Port: 1})
	body := udp.AppendAnnounceRequest(nil, &udp.AnnounceRequest{Port: 1})
	h, message, err := udp.ParseResponseHeader(a.send(a.request(udp.Announce, body)))
	if err != nil || h != (udp.ResponseHeader{Action: udp.Error, TransactionID: transaction}) || string(message) != errNotTracked.Error() {
		t.Errorf("%+v %q, %v", h, message, err)
	}
	counts := a.ask(udp.Scrape, append(make([]byte, 20), listed[:]...))
	unlisted, counts, _ := udp.ParseScrapeStats(counts)
	if known, _, _ := udp.ParseScrapeStats(counts); unlisted != (tracker.ScrapeStats{}) || known.Complete != 1 {
		t.Errorf("scrape %+v, %+v", unlisted, known)
	}
}

// An address in the packet counts only from a trusted network.
func TestUDPAddressInThePacket(t *testing.T) {
	for trusted, want := range map[string]string{"198.51.100.0/24": "10.0.0.9", "192.0.2.0/24": "198.51.100.7"} {
		a := newAsker(t, Config{TrustedIP: []netip.Prefix{netip.MustParsePrefix(trusted)}})
		a.announce(udp.AnnounceRequest{Port: 1, IP: [4]byte{10, 0, 0, 9}})
		if _, peers := a.announce(udp.AnnounceRequest{Port: 2, NumWant: -1, Left: 1}); len(peers) != 1 || peers[0].Addr().String() != want {
			t.Errorf("trusting %s: %v", trusted, peers)
		}
	}
}

func TestUDPNothingIsAllocated(t *testing.T) {
	a := newAsker(t, Config{})
	for port := range uint16(100) {
		a.announce(udp.AnnounceRequest{Port: port + 1, Left: 1})
	}
	packets := [][]byte{
		udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID}),
		a.request(udp.Announce, udp.AppendAnnounceRequest(nil, &udp.AnnounceRequest{Port: 1, Left: 1, NumWant: -1})),
		a.request(udp.Scrape, make([]byte, 20*udp.MaxScrape)),
		make([]byte, 98),
	}
	room := make([]byte, 0, maxUDPReply)
	if n := testing.AllocsPerRun(100, func() {
		for _, packet := range packets {
			a.u.handle(0, packet, a.from, room)
		}
		a.u.tell()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzUDPPacket: whatever the packet, no panic, and who has shown no good
// connection id gets nothing that is longer than what he sent.
func FuzzUDPPacket(f *testing.F) {
	a := newAsker(f, Config{})
	f.Add(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID}), false)
	f.Add(a.request(udp.Announce, udp.AppendAnnounceRequest(nil, &udp.AnnounceRequest{Port: 1, NumWant: -1})), true)
	f.Add(a.request(udp.Scrape, make([]byte, 45)), true)
	f.Add(make([]byte, 98), false)
	f.Fuzz(func(t *testing.T, packet []byte, good bool) {
		a := newAsker(t, Config{})
		if good && len(packet) >= 16 {
			copy(packet, a.request(udp.Announce, nil)[:8])
		}
		if reply := a.send(packet); !good && len(reply) > len(packet) {
			t.Errorf("%d bytes answer %d", len(reply), len(packet))
		}
	})
}
