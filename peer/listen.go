package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// The ports that are tried by default. BEP 3: "Common behavior is for a
// downloader to try to listen on port 6881 and if that port is taken try 6882,
// then 6883, etc. and give up after 6889"; we do not give up so soon, because
// several clients on one machine are common.
const (
	firstPort = 6881
	lastPort  = 6999
)

// listen opens the listener that the configuration asks for.
func listen(cfg Config) (*net.TCPListener, error) {
	if cfg.Port > 0 {
		l, err := listenOn(cfg.Bind, cfg.Port)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("port %d is in use by another program; choose another one, or none to have one chosen: %w", cfg.Port, err)
		}
		return l, err
	}
	for port := firstPort; port <= lastPort; port++ {
		l, err := listenOn(cfg.Bind, port)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return listenOn(cfg.Bind, 0)
}

// listenOn listens on one port, 0 for any. Without an address to bind to it
// takes IPv4 and IPv6 connections.
func listenOn(bind netip.Addr, port int) (*net.TCPListener, error) {
	host := ""
	if bind.IsValid() {
		host = bind.String()
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// accept takes connections until the listener is closed.
func (c *Client) accept() {
	for {
		tcp, err := c.listener.AcceptTCP()
		if err == nil {
			c.tasks.Go(func() { c.welcomeTCP(tcp) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		c.log.Debug("accept failed", "err", err)
		select {
		case <-c.closing.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

func (c *Client) welcomeTCP(tcp *net.TCPConn) {
	tr, err := newTCPTransport(tcp)
	if err != nil {
		tcp.Close()
		return
	}
	c.welcome(tr, addrOf(tcp.RemoteAddr()))
}

// welcome shakes hands with who has connected to us and hands the connection to
// the torrent that it is about. Who wants another torrent learns nothing.
func (c *Client) welcome(tr transport, addr netip.AddrPort) {
	if !c.handshakes.enter(addr.Addr()) {
		tr.Close()
		c.log.Debug("refused", "peer", addr, "err", errBusy)
		return
	}
	defer c.handshakes.leave(addr.Addr())
	hurry := context.AfterFunc(c.closing, func() { tr.Close() })
	defer hurry()
	if err := c.answer(tr, addr); err != nil {
		tr.Close()
		c.log.Debug("refused", "peer", addr, "err", err)
	}
}

func (c *Client) answer(tr transport, addr netip.AddrPort) error {
	theirs, err := receiveHandshake(tr)
	if err != nil {
		return err
	}
	t := c.torrent(theirs.InfoHash)
	if t == nil {
		return errNoTorrent
	}
	if err := sendHandshake(tr, t.handshake()); err != nil {
		return err
	}
	conn := newConn(t, tr, addr)
	if !t.inbox.put(event{do: func() { t.connUp(conn, upInput(conn, theirs, true)) }}) {
		return errStopped
	}
	return nil
}

// handshakes counts the incoming connections that have not said yet what they
// want.
type handshakes struct {
	mu      sync.Mutex
	all     int
	perAddr map[netip.Addr]int
}

// enter counts one more, and is false if there are too many.
func (h *handshakes) enter(ip netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all >= maxHandshakes || h.perAddr[ip] >= maxHandshakesPerAddr {
		return false
	}
	if h.perAddr == nil {
		h.perAddr = make(map[netip.Addr]int)
	}
	h.all++
	h.perAddr[ip]++
	return true
}

func (h *handshakes) leave(ip netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.perAddr[ip]--; h.perAddr[ip] == 0 {
		delete(h.perAddr, ip)
	}
}
