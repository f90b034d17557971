package server_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/client"
	"github.com/shoal-bt/shoal/tracker/server"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// runUDPTracker serves a tracker by UDP on an address and returns it and its
// announce URL.
func runUDPTracker(t *testing.T, address string, cfg server.Config) (*server.Server, string) {
	t.Helper()
	l, err := server.ListenUDP(t.Context(), address)
	if err != nil {
		t.Skip("no such address on this machine: ", err)
	}
	s := runServer(t, cfg, func(ctx context.Context, s *server.Server) error { return s.RunUDP(ctx, l) })
	return s, fmt.Sprintf("udp://%s/announce", l.Addr())
}

// Two peers find each other over real sockets, of both families.
func TestPeersFindEachOtherByUDP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			s, announceURL := runUDPTracker(t, address, server.Config{})
			meet(t, s, announceURL, netip.MustParseAddrPort(address).Addr(), []string{announceURL})
		})
	}
}

// One address for both families: IPv4 peers come as such.
func TestUDPOnEveryAddress(t *testing.T) {
	_, announceURL := runUDPTracker(t, ":0", server.Config{})
	port := announceURL[strings.LastIndex(announceURL, ":"):]
	c := client.New(client.Config{})
	for peerPort := range uint16(2) {
		resp, err := c.Announce(t.Context(), "udp://127.0.0.1"+port, &tracker.Request{InfoHash: infoHash, Left: 1, NumWant: 9,
			Addr: netip.AddrPortFrom(netip.Addr{}, peerPort+1)})
		if err != nil || len(resp.Peers) != int(peerPort) {
			t.Fatalf("%+v, %v", resp, err)
		}
		if peerPort == 1 && resp.Peers[0].String() != "127.0.0.1:1" {
			t.Errorf("peers %v", resp.Peers)
		}
	}
}

// More packets than one system call takes, from many clients at once.
func TestUDPBurst(t *testing.T) {
	s, announceURL := runUDPTracker(t, "127.0.0.1:0", server.Config{})
	address := strings.TrimSuffix(strings.TrimPrefix(announceURL, "udp://"), "/announce")
	const clients, packets = 4, 100
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			conn, err := net.Dial("udp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for id := range uint32(packets) {
				conn.Write(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID, TransactionID: id}))
			}
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			answered := map[uint32]bool{}
			reply := make([]byte, 100)
			for len(answered) < packets {
				n, err := conn.Read(reply)
				if err != nil {
					t.Errorf("%d of %d answered: %v", len(answered), packets, err)
					return
				}
				h, _, _ := udp.ParseResponseHeader(reply[:n])
				answered[h.TransactionID] = true
			}
		})
	}
	asking.Wait()
	if n := s.Stats().UDPConnects; n != clients*packets {
		t.Errorf("%d connects are counted, of %d", n, clients*packets)
	}
}

func TestUDPAddressInUse(t *testing.T) {
	first, err := server.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := server.ListenUDP(t.Context(), first.Addr().String())
	if err == nil {
		second.Close()
		t.Error("two trackers share a port")
	}
	if _, err := server.ListenUDP(t.Context(), "no address"); err == nil {
		t.Error("it listens on no address")
	}
}

// A tracker whose sockets are closed ends, and says so.
func TestUDPEndsWithItsSockets(t *testing.T) {
	l, err := server.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.RunUDP(t.Context(), l); err == nil || !strings.Contains(err.Error(), "serve UDP") {
		t.Errorf("%v", err)
	}
}
