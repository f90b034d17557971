//go:build unix

package main

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"math/rand/v2"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// keyRequests are requests with a key in them, good and bad ones; %[1]s is the
// key, %[2]s a torrent that is there.
var keyRequests = []string{
	"GET /%[1]s/announce?info_hash=%[2]s&peer_id=-SH0100-aaaaaaaaaaaa&port=1&uploaded=0&downloaded=0&left=9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/announce?info_hash=%[2]s&peer_id=-SH0100-aaaaaaaaaaaa&port=1&uploaded=900000000000000&downloaded=0&left=9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/announce?info_hash=unknowntorrentunknow&peer_id=-SH0100-aaaaaaaaaaaa&port=1&left=9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/announce?info_hash=%[1]s&port=%[1]s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/scrape?info_hash=%[2]s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/scrape HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/scrape?info_hash=%[2]s HTTP/1.1\r\nHost: x\r\nX_odd: %[1]s\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/announce?info_hash=%[2]s HTTP/1.0\r\n\r\n",
	"GET http://%[1]s/%[1]s/announce?info_hash=%[2]s HTTP/1.1\r\nHost: %[1]s\r\nConnection: close\r\n\r\n",
	"GET /announce?key=%[1]s&passkey=%[1]s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/%[1]s/announce HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/../announce/%%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"POST /%[1]s/announce HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
	"%[1]s /%[1]s/announce HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /%[1]s/announce HTTP/9.9\r\nHost: x\r\n\r\n",
	"GET /%[1]s/announce HTTP/1.1\r\n%[1]s\r\n\r\n",
	"GET /%[1]s/announce HTTP/1.1\r\nHost: x\r\nX: %[3]s\r\n\r\n",
	"GET /%[1]s/announce HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01%[1]s\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}

// A private tracker is asked whatever goes wrong with a key in it, by users who
// are known, disabled and unknown, over HTTP and UDP, while its database fails.
// Nothing that it prints, answers, logs or shows on its pages has a key, or the
// hash of one.
func TestKeysStaySecret(t *testing.T) {
	t.Parallel()
	c := newCountedTracker(t, rand.New(rand.NewPCG(rand.Uint64(), 0)))
	good, disabled, unknown := account.NewKey(), account.NewKey(), account.NewKey()
	keys := []account.Key{good, disabled, unknown}
	c.withStore(func(st *sqlite.Store) error {
		if _, err := st.CreateUser(t.Context(), account.User{Name: "anna"}, good.Hash()); err != nil {
			return err
		}
		_, err := st.CreateUser(t.Context(), account.User{Name: "berta", State: account.Disabled}, disabled.Hash())
		return err
	})
	stdout, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	log := filepath.Join(t.TempDir(), "announces")
	c.startWith(stdout, "--json", "--announce-log", log)
	var seen bytes.Buffer
	for _, key := range keys {
		c.askWith(&seen, key)
	}
	c.breakDatabase()
	for _, key := range keys {
		c.askWith(&seen, key)
	}
	c.process.signal(t, os.Interrupt)
	code, stderr := c.process.end(t)
	if code == exitInterrupted || !strings.Contains(stderr, "no such table") {
		t.Errorf("the database did not fail: exit %d\n%s", code, stderr)
	}
	seen.WriteString(stderr)
	for _, file := range []string{stdout.Name(), log} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(b)
	}
	for i, key := range keys {
		hash := key.Hash()
		for what, secret := range map[string][]byte{
			"key": []byte(key.Reveal()), "key in bytes": key[:], "hash": []byte(hex.EncodeToString(hash[:])), "hash in bytes": hash[:],
		} {
			if at := bytes.Index(bytes.ToLower(seen.Bytes()), bytes.ToLower(secret)); at >= 0 {
				t.Errorf("the %s of user %d is shown: %q", what, i, seen.Bytes()[max(at-200, 0):at])
			}
		}
	}
	if !strings.Contains(seen.String(), "8:complete") || !strings.Contains(seen.String(), account.ErrDisabled.Error()) || !strings.Contains(seen.String(), account.ErrKey.Error()) {
		t.Errorf("not every answer was seen: %q", seen.String())
	}
}

// askWith sends all requests with a key, over HTTP and UDP, and appends what
// comes back.
func (c *countedTracker) askWith(seen *bytes.Buffer, key account.Key) {
	c.t.Helper()
	hash := urlEscaped(c.torrent.InfoHash[:])
	for _, text := range []string{key.Reveal(), strings.ToUpper(key.Reveal())} {
		for _, request := range keyRequests {
			request = strings.ReplaceAll(request, "%[1]s", text)
			request = strings.ReplaceAll(strings.ReplaceAll(request, "%[2]s", hash), "%[3]s", strings.Repeat(text, 1000))
			seen.Write(c.converse("tcp", []byte(request)))
		}
	}
	connect := udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID})
	announce := func(id []byte) []byte {
		packet := udp.AppendAnnounceRequest(append(bytes.Clone(id), 0, 0, 0, 1, 0, 0, 0, 0), &udp.AnnounceRequest{InfoHash: c.torrent.InfoHash, Port: 1, Left: 1})
		return udp.AppendURLData(packet, "/"+key.Reveal()+"/announce")
	}
	reply := c.converse("udp", connect)
	seen.Write(reply)
	if len(reply) >= 16 {
		seen.Write(c.converse("udp", announce(reply[8:16])))
	}
}

// converse sends a request and returns what comes back, nothing if the tracker
// hangs up or has no such socket.
func (c *countedTracker) converse(network string, request []byte) []byte {
	c.t.Helper()
	conn, err := net.Dial(network, c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(request)
	conn.SetReadDeadline(time.Now().Add(patience))
	if network == "udp" {
		packet := make([]byte, 2048)
		n, _ := conn.Read(packet)
		return packet[:n]
	}
	reply, _ := io.ReadAll(conn)
	return reply
}

// breakDatabase has every further batch fail.
func (c *countedTracker) breakDatabase() {
	c.t.Helper()
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=busy_timeout(10000)", c.db))
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(c.t.Context(), "DROP TABLE flush"); err != nil {
		c.t.Fatal(err)
	}
}
