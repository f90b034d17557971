package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// udpTracker answers the packets of clients as a tracker does, and writes down
// what it got. Its fields may be set while nobody asks.
type udpTracker struct {
	begin time.Time
	// swallow says whether to lose a packet.
	swallow func(h udp.RequestHeader) bool
	// answer, if it returns packets, replaces the tracker's own.
	answer func(h udp.RequestHeader) [][]byte
	peers  []netip.AddrPort

	mu       sync.Mutex
	log      []string // "15s connect"
	announce udp.AnnounceRequest
	path     string
	dialed   int
	issued   uint64 // connection ids
}

// respond returns the packets that answer one.
func (f *udpTracker) respond(packet []byte) [][]byte {
	h, body, err := udp.ParseRequestHeader(packet)
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf("%v %v", time.Since(f.begin), h.Action))
	if f.swallow != nil && f.swallow(h) {
		return nil
	}
	if f.answer != nil {
		if packets := f.answer(h); packets != nil {
			return packets
		}
	}
	b := udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: h.Action, TransactionID: h.TransactionID})
	switch {
	case h.Action == udp.Connect && h.ConnectionID == udp.ProtocolID:
		f.issued++
		return [][]byte{udp.AppendConnectionID(b, f.issued)}
	case h.ConnectionID == 0 || h.ConnectionID > f.issued:
		return nil
	case h.Action == udp.Announce:
		return [][]byte{f.announced(b, body)}
	}
	for hash, rest, ok := udp.ParseInfoHash(body); ok; hash, rest, ok = udp.ParseInfoHash(rest) {
		b = udp.AppendScrapeStats(b, tracker.ScrapeStats{Complete: int(hash[0]), Incomplete: 1, Downloaded: 2})
	}
	return [][]byte{b}
}

func (f *udpTracker) announced(b, body []byte) []byte {
	options, err := udp.ParseAnnounceRequest(body, &f.announce)
	path, errOptions := udp.ParseURLData(nil, options)
	if err != nil || errOptions != nil {
		panic(errors.Join(err, errOptions))
	}
	f.path = string(path)
	b = udp.AppendAnnounceResponse(b, udp.AnnounceResponse{IntervalSec: 1800, Leechers: 3, Seeders: 4})
	for _, peer := range f.peers {
		b = compact.Append(b, peer)
	}
	return b
}

// refuse is an error packet.
func refuse(h udp.RequestHeader, message string) []byte {
	b := udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: udp.Error, TransactionID: h.TransactionID})
	return append(b, message...)
}

// heard returns the last announce, and the path in its options.
func (f *udpTracker) heard() (udp.AnnounceRequest, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.announce, f.path
}

func (f *udpTracker) numDialed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dialed
}

func (f *udpTracker) wantLog(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.log, want) {
		t.Errorf("the tracker got\n%s\nwant\n%s", strings.Join(f.log, "\n"), strings.Join(want, "\n"))
	}
	f.log = nil
}

// listen serves f on a real socket at addr and returns its port.
func (f *udpTracker) listen(t *testing.T, addr string) (port uint16) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Skip("this system has no such address: ", err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			for _, answer := range f.respond(packet[:n]) {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// fakeUDPClient returns a Client in a world of trackers by address, without sockets. Names
// resolve to addrs. Addresses without a tracker have no route.
func fakeUDPClient(cfg Config, addrs []string, trackers map[string]*udpTracker) *Client {
	c := New(cfg)
	begin := time.Now()
	for _, f := range trackers {
		f.begin = begin
	}
	c.udp.resolve = func(context.Context, string) ([]netip.Addr, error) {
		var ips []netip.Addr
		for _, a := range addrs {
			ips = append(ips, netip.MustParseAddr(a))
		}
		return ips, nil
	}
	c.udp.dial = func(_ netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		f := trackers[remote.Addr().String()]
		if f == nil {
			return nil, syscall.ENETUNREACH
		}
		f.mu.Lock()
		f.dialed++
		f.mu.Unlock()
		ours, theirs := net.Pipe() // each write of one side is a read of the other, as with packets
		go f.serve(theirs)
		return ours, nil
	}
	return c
}

func (f *udpTracker) serve(conn net.Conn) {
	defer conn.Close()
	packet := make([]byte, 2048)
	for {
		n, err := conn.Read(packet)
		if err != nil {
			return
		}
		for _, answer := range f.respond(packet[:n]) {
			conn.Write(answer)
		}
	}
}
