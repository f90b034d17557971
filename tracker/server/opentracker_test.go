package server_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/server"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// asked is a tracker that one client asks, over UDP.
type asked struct {
	t    *testing.T
	conn net.Conn
	id   uint64

	transaction uint32
}

func ask(t *testing.T, address string) *asked {
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := &asked{t: t, conn: conn, id: udp.ProtocolID}
	a.id = binary.BigEndian.Uint64(a.do(udp.Connect, nil))
	return a
}

// do returns the body of the answer. A connect is repeated: the tracker may not
// have begun yet.
func (a *asked) do(action udp.Action, body []byte) []byte {
	a.t.Helper()
	patience := time.Minute
	if action == udp.Connect {
		patience = 50 * time.Millisecond
	}
	reply := make([]byte, 2048)
	for range 200 {
		a.transaction++
		a.conn.Write(append(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: a.id, Action: action, TransactionID: a.transaction}), body...))
		a.conn.SetReadDeadline(time.Now().Add(patience))
		for {
			n, err := a.conn.Read(reply)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil { // refused: nobody listens there yet
				continue
			}
			h, answer, err := udp.ParseResponseHeader(reply[:n])
			if err != nil || h.Action != action {
				a.t.Fatalf("%v: %+v %q, %v", action, h, answer, err)
			}
			if h.TransactionID == a.transaction {
				return answer
			}
		}
	}
	a.t.Fatal("no answer")
	return nil
}

func (a *asked) announce(r udp.AnnounceRequest) (udp.AnnounceResponse, []netip.AddrPort) {
	a.t.Helper()
	answer, list, err := udp.ParseAnnounceResponse(a.do(udp.Announce, udp.AppendAnnounceRequest(nil, &r)))
	if err != nil {
		a.t.Fatal(err)
	}
	peers, err := compact.Parse4(list)
	if err != nil {
		a.t.Fatal(err)
	}
	slices.SortFunc(peers, netip.AddrPort.Compare)
	return answer, peers
}

// runOpentracker starts one for the torrents and returns its address.
func runOpentracker(t *testing.T, torrents []metainfo.InfoHash) string {
	t.Helper()
	program, err := exec.LookPath("opentracker")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("there is no opentracker to compare with, or it cannot be started: it needs root")
	}
	folder := t.TempDir()
	var list strings.Builder
	for _, h := range torrents {
		fmt.Fprintf(&list, "%x\n", h[:])
	}
	if err := os.WriteFile(filepath.Join(folder, "whitelist"), []byte(list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.LocalAddr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	process := exec.Command(program, "-i", "127.0.0.1", "-p", port, "-P", port, "-d", folder, "-u", "nobody", "-w", "whitelist")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Process.Kill(); process.Wait() })
	return address
}

// The same announces and scrapes give the same counts and peers as opentracker
// does, but for two differences: it gives announcers themselves back, and seeds
// other seeds whenever they ask. The interval, which it varies, is not compared.
func TestLikeOpentracker(t *testing.T) {
	torrents := make([]metainfo.InfoHash, 4)
	for i := range torrents {
		torrents[i] = metainfo.InfoHash{byte(i + 1)}
	}
	theirs := ask(t, runOpentracker(t, torrents))
	_, announceURL := runUDPTracker(t, "127.0.0.1:0", server.Config{})
	ours := ask(t, strings.TrimSuffix(strings.TrimPrefix(announceURL, "udp://"), "/announce"))
	r := rand.New(rand.NewPCG(1, 2))
	events := []tracker.Event{tracker.None, tracker.None, tracker.Started, tracker.Completed, tracker.Stopped}
	isSeed := map[string]bool{} // by torrent and port
	for step := range 2000 {
		req := udp.AnnounceRequest{InfoHash: torrents[r.IntN(len(torrents))], Port: uint16(1 + r.IntN(40)),
			Left: int64(r.IntN(2)), NumWant: 100, Event: events[r.IntN(len(events))]}
		if req.Event == tracker.Completed {
			req.Left = 0
		}
		binary.BigEndian.PutUint16(req.PeerID[18:], req.Port)
		key := func(port uint16) string { return fmt.Sprint(req.InfoHash, port) }
		isSeed[key(req.Port)] = req.Left == 0
		got, gotPeers := ours.announce(req)
		want, wantPeers := theirs.announce(req)
		wantPeers = slices.DeleteFunc(wantPeers, func(a netip.AddrPort) bool {
			return a.Port() == req.Port || req.Left == 0 && req.Event != tracker.Started && isSeed[key(a.Port())]
		})
		if got.Seeders != want.Seeders || got.Leechers != want.Leechers || !slices.Equal(gotPeers, wantPeers) {
			t.Fatalf("step %d, %+v:\n%+v %v, opentracker\n%+v %v", step, req, got, gotPeers, want, wantPeers)
		}
		if step%100 == 0 {
			var body []byte
			for _, h := range torrents {
				body = append(body, h[:]...)
			}
			if got, want := ours.do(udp.Scrape, body), theirs.do(udp.Scrape, body); !bytes.Equal(got, want) {
				t.Fatalf("step %d: scrape %x, opentracker %x", step, got, want)
			}
		}
	}
}
