package client

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// BEP 15: "A client can use a connection ID until one minute after it has
// received it."
const connectionLife = time.Minute

// BEP 15: "If a response is not received after 15 * 2 ^ n seconds, the client
// should retransmit the request, where n starts at 0 and is increased up to 8".
// The end of the request's context usually comes first: an Announcer has other
// trackers to ask.
const (
	retransmitBase     = 15 * time.Second
	maxRetransmissions = 8
)

// maxIdle bounds the sockets that wait for another request. It is arbitrary:
// enough for the trackers of many torrents that start together.
const maxIdle = 64

// maxUDPAnswer is the longest answer that is read, in bytes.
const maxUDPAnswer = udp.AnnounceResponseLen + MaxPeers*compact.Len6

// udpSession is a socket connected to a tracker, and the connection id that
// the tracker gave to the socket's address. Trackers may tie it to the port,
// so a session is used again, not its id alone. One request at a time has it.
type udpSession struct {
	conn         net.Conn
	remote       netip.AddrPort
	connectionID uint64
	received     time.Time // the connection id; zero if there is none
	old          bool      // the connection id is that of an earlier request
	spoiled      bool      // a request was ended in the middle
	expiry       *time.Timer
	out, in      []byte // packets
}

// session returns a session with remote, one that has a connection id if there
// is any. It goes back by release.
func (c *udpClient) session(remote netip.AddrPort) (*udpSession, error) {
	if s := c.takeIdle(remote); s != nil {
		return s, nil
	}
	conn, err := c.dial(c.localAddr, remote)
	if err != nil {
		return nil, err
	}
	return &udpSession{conn: conn, remote: remote, in: make([]byte, maxUDPAnswer)}, nil
}

func (c *udpClient) takeIdle(remote netip.AddrPort) *udpSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.idle, func(s *udpSession) bool { return s.remote == remote && s.isConnected() })
	if i < 0 {
		return nil
	}
	s := c.idle[i]
	c.idle = slices.Delete(c.idle, i, i+1)
	s.expiry.Stop() // if it has fired, drop finds nothing
	s.old = true
	return s
}

// release keeps a session until its connection id expires, or closes it.
func (c *udpClient) release(s *udpSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.spoiled || !s.isConnected() || len(c.idle) >= maxIdle {
		s.conn.Close()
		return
	}
	c.idle = append(c.idle, s)
	s.expiry = time.AfterFunc(connectionLife-time.Since(s.received), func() { c.drop(s) })
}

func (c *udpClient) drop(s *udpSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.idle, s); i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
		s.conn.Close()
	}
}

func (s *udpSession) isConnected() bool {
	return !s.received.IsZero() && time.Since(s.received) < connectionLife
}

// ask makes one request and returns the body of its answer, which is valid
// until the next. It sends again what is lost, and connects first if there is
// no connection id or it expires on the way. A refusal is a
// *tracker.FailureError.
func (s *udpSession) ask(ctx context.Context, action udp.Action, body []byte) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })
	defer func() { s.spoiled = !stop() || s.spoiled }()
	transactionID := newTransactionID()
	for n := 0; n <= maxRetransmissions; {
		answer, err := s.try(ctx, action, transactionID, body, retransmitBase<<n)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			n++
		case !s.old || !isRefusal(err):
			return nil, err
		}
		if s.old { // a tracker that has restarted may have forgotten it
			s.received, s.old = time.Time{}, false
		}
	}
	return nil, os.ErrDeadlineExceeded
}

// try sends each packet that the request needs once. The error is
// os.ErrDeadlineExceeded if one of them had no answer for wait.
func (s *udpSession) try(ctx context.Context, action udp.Action, transactionID uint32, body []byte, wait time.Duration) ([]byte, error) {
	if !s.isConnected() {
		answer, err := s.exchange(ctx, udp.RequestHeader{
			ConnectionID: udp.ProtocolID, Action: udp.Connect, TransactionID: transactionID}, nil, wait)
		if err != nil {
			return nil, err
		}
		if s.connectionID, err = udp.ParseConnectionID(answer); err != nil {
			return nil, errNotTracker
		}
		s.received, s.old = time.Now(), false
	}
	return s.exchange(ctx, udp.RequestHeader{
		ConnectionID: s.connectionID, Action: action, TransactionID: transactionID}, body, wait)
}

// exchange sends a packet and waits for its answer. A packet that is none is
// ignored: who does not see ours must guess the transaction id and our port to
// be believed.
func (s *udpSession) exchange(ctx context.Context, h udp.RequestHeader, body []byte, wait time.Duration) ([]byte, error) {
	s.conn.SetDeadline(time.Now().Add(wait))
	if err := ctx.Err(); err != nil { // its deadline may have been set before ours
		return nil, err
	}
	s.out = append(udp.AppendRequestHeader(s.out[:0], h), body...)
	if _, err := s.conn.Write(s.out); err != nil {
		return nil, ended(ctx, err)
	}
	for {
		n, err := s.conn.Read(s.in)
		if err != nil {
			return nil, ended(ctx, err)
		}
		got, answer, err := udp.ParseResponseHeader(s.in[:n])
		switch {
		case err != nil || got.TransactionID != h.TransactionID:
		case got.Action == h.Action:
			return answer, nil
		case got.Action == udp.Error:
			return nil, &tracker.FailureError{Reason: text(answer)}
		}
	}
}

// ended is the error of ctx if that is what ended a read or a write.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// newTransactionID returns a number that nobody can guess.
func newTransactionID() uint32 {
	var b [4]byte
	crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}

// compactLen is the length of a peer in answers from remote.
func compactLen(remote netip.Addr) int {
	if remote.Is4() {
		return compact.Len4
	}
	return compact.Len6
}
