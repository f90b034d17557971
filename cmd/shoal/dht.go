package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

func dhtCommand() command {
	return command{
		name:    "dht",
		summary: "run a DHT node, or ask the DHT something",
		usage:   "COMMAND [flags] [arguments]",
		about: `
The DHT finds peers without a tracker. All commands but "run" and "ping" join it
with a node of their own for the time that they take, which answers no queries
(BEP 43), through the nodes that an earlier "shoal dht run" has saved or through
well-known routers.`,
		example: "shoal dht get-peers ubuntu.torrent    # who has this torrent?",
		new:     func() runner { return group{dhtCommands()} },
		subs:    dhtCommands,
	}
}

// dhtCommands is the table of the commands behind "shoal dht".
func dhtCommands() []command {
	return []command{
		dhtRunCommand(),
		dhtPingCommand(),
		dhtFindNodeCommand(),
		dhtGetPeersCommand(),
		dhtAnnounceCommand(),
		dhtScrapeCommand(),
		dhtSampleCommand(),
		dhtGetCommand(),
		dhtPutCommand(),
	}
}

// dhtCloseTimeout is how long the end of a node may take: it writes a small
// file.
const dhtCloseTimeout = 5 * time.Second

// dhtSocket are the flags of a node's socket.
type dhtSocket struct {
	addr string

	// Of addr, parsed by check.
	bind    netip.Addr
	port    int // 0 is any free one
	hasPort bool
}

// flags binds --addr; defaultPort says which port it is without.
func (f *dhtSocket) flags(fs *pflag.FlagSet, defaultPort string) {
	fs.StringVar(&f.addr, "addr", "", "use this local `ADDR` and UDP port: :6881, 192.168.1.5:6881 or 192.168.1.5 (default: all addresses and "+defaultPort+")")
}

func (f *dhtSocket) check() error {
	if f.addr == "" {
		return nil
	}
	host, portText, err := net.SplitHostPort(f.addr)
	if f.hasPort = err == nil; !f.hasPort {
		host, portText = f.addr, "0"
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err == nil && (host != "" || !f.hasPort) {
		f.bind, err = netip.ParseAddr(host)
	}
	if err != nil {
		return usagef("--addr %q is not an address of this machine and a port; write it as :6881, 192.168.1.5:6881 or 192.168.1.5", f.addr)
	}
	f.port = int(port)
	return nil
}

// open opens the sockets of a node.
func (f *dhtSocket) open(cfg dht.Config) (*dht.Server, error) {
	cfg.Bind, cfg.Port = f.bind, f.port
	s, err := dht.New(cfg)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d: %w; choose another one with --addr", f.port, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is not an address of this machine; choose one that is with --addr, or leave it out", f.bind)
	}
	return s, err
}

// dhtNetwork are the flags that say how to join.
type dhtNetwork struct {
	dhtSocket
	bootstrap []string
	state     string
	hasState  bool // --state was given, perhaps as ""
}

func (f *dhtNetwork) flags(fs *pflag.FlagSet, defaultPort string) {
	f.dhtSocket.flags(fs, defaultPort)
	fs.StringArrayVar(&f.bootstrap, "bootstrap", nil, "join through the node `HOST:PORT`, not through the well-known routers; repeatable")
	fs.Var((*stateFlag)(f), "state", "the `FILE` of saved nodes (default: shoal/dht.state in the folder of the user's state; none with --bootstrap or a loopback --addr)")
}

// stateFlag is --state: a pflag.Value that knows whether it was given.
type stateFlag dhtNetwork

func (f *stateFlag) Type() string   { return "FILE" }
func (f *stateFlag) String() string { return f.state }

func (f *stateFlag) Set(path string) error {
	f.state, f.hasState = path, true
	return nil
}

func (f *dhtNetwork) check() error {
	for _, hostPort := range f.bootstrap {
		if _, _, err := splitHostPort(hostPort); err != nil {
			return usagef("--bootstrap %q: %v", hostPort, err)
		}
	}
	if err := f.dhtSocket.check(); err != nil {
		return err
	}
	// Another network's nodes must not get into the file of the public one,
	// nor the other way round.
	if !f.hasState && len(f.bootstrap) == 0 && !f.bind.IsLoopback() {
		f.state = defaultDHTState()
	}
	return nil
}

// defaultDHTState is where the state of this user's node is kept; empty if
// there is no such folder.
func defaultDHTState() string {
	if dir := stateFolder(); dir != "" {
		return filepath.Join(dir, "dht.state")
	}
	return ""
}

// stateFolder is where this user's state is kept (XDG); empty if there is no
// such folder.
func stateFolder() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // "All paths [...] must be absolute", or are to be ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "shoal")
}

// dhtOnce are the flags of a command that joins, asks and leaves.
type dhtOnce struct {
	dhtNetwork
	timeout time.Duration
	json    bool
}

// defaultDHTTimeout is arbitrary: joining and a lookup take a second or two,
// and routers may have to be asked more than once.
const defaultDHTTimeout = 30 * time.Second

func (f *dhtOnce) flags(fs *pflag.FlagSet) {
	f.dhtNetwork.flags(fs, "any free port")
	fs.DurationVar(&f.timeout, "timeout", defaultDHTTimeout, "give up after `D`")
	fs.BoolVar(&f.json, "json", false, "print JSON")
}

func (f *dhtOnce) check() error {
	if err := checkTimeout(f.timeout); err != nil {
		return err
	}
	if err := f.dhtNetwork.check(); err != nil {
		return err
	}
	if f.bind.IsLoopback() && len(f.bootstrap) == 0 && f.state == "" {
		return usagef("a node on a loopback address knows nobody; name a node with --bootstrap HOST:PORT")
	}
	return nil
}

func checkTimeout(d time.Duration) error {
	if d <= 0 {
		return usagef("--timeout %v leaves no time", d)
	}
	return nil
}

// withNode calls do with a node that is about to join. --timeout is for both.
func (f *dhtOnce) withNode(ctx context.Context, e *env, do func(context.Context, *dht.Server) error) error {
	cfg := dht.Config{ReadOnly: true, StateFile: f.state, BorrowState: true, Logger: newLogger(e.logf)}
	if len(f.bootstrap) > 0 {
		cfg.Bootstrap = f.bootstrap
	}
	return f.dhtSocket.withNode(ctx, e, f.timeout, cfg, do)
}

// lookUp runs one lookup. It does not wait for the node to join: most often the
// nodes that are known already lead there sooner. If nobody answers, it waits,
// and tries once more.
func (f *dhtOnce) lookUp(ctx context.Context, s *dht.Server, req node.Request, found func(netip.AddrPort, node.Reply)) (node.Result, lookedUp, error) {
	start := time.Now()
	result, err := s.Lookup(ctx, req, found)
	if err == nil && len(result.Closest) == 0 {
		if err = f.join(ctx, s); err == nil {
			result, err = s.Lookup(ctx, req, found)
		}
	}
	took := time.Since(start)
	return result, lookedUp{result.Queries, seconds(took), took}, err
}

// withNode calls do with a node, for timeout at most. What that means for the
// result is for do to say; an interrupt goes before it.
func (f *dhtSocket) withNode(ctx context.Context, e *env, timeout time.Duration, cfg dht.Config, do func(context.Context, *dht.Server) error) error {
	s, err := f.open(cfg)
	if err != nil {
		return err
	}
	defer closeNode(ctx, e, s)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = do(limited, s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// closeNode ends a node, also when the command was interrupted.
func closeNode(ctx context.Context, e *env, s *dht.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dhtCloseTimeout)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		e.logf("%s", oneLine(err.Error()))
	}
}

// join waits until the node has joined.
func (f *dhtOnce) join(ctx context.Context, s *dht.Server) error {
	select {
	case <-s.Ready():
		return nil
	case <-ctx.Done():
	}
	if len(f.bootstrap) > 0 {
		return notFoundf("no node of --bootstrap answered within %v; check its address, and that UDP passes the firewall", f.timeout)
	}
	return notFoundf("nobody answered within %v; check that UDP passes the firewall, or name a node that runs with --bootstrap HOST:PORT", f.timeout)
}

// timedOut reports whether err is that --timeout has passed.
func timedOut(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// tooShort says so if --timeout is the reason for err.
func (f *dhtOnce) tooShort(err error) error {
	if timedOut(err) {
		return notFoundf("no result after %v; a longer --timeout may help", f.timeout)
	}
	return err
}

// parseHex reads so many bytes of hexadecimal digits; what says what they are.
func parseHex(what, s string, numBytes int) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != numBytes {
		return nil, usagef("%q is not %s of %d hexadecimal digits", shorten(s), what, 2*numBytes)
	}
	return b, nil
}

// parseID reads the place in the DHT that args name.
func parseID(what string, args []string) (krpc.ID, error) {
	if len(args) != 1 {
		return krpc.ID{}, usagef("name %s of 40 hexadecimal digits", what)
	}
	b, err := parseHex(what, args[0], len(krpc.ID{}))
	if err != nil {
		return krpc.ID{}, err
	}
	return krpc.ID(b), nil
}

// seconds is how JSON has a time: to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

// formatRTT writes a round trip, or a few of them, with the digits that
// matter: "212µs", "41.3ms", "1.3s".
func formatRTT(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return formatDuration(d)
}

// nodeJSON is a node in every command's JSON.
type nodeJSON struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
}

func nodesJSON(nodes []krpc.Node) []nodeJSON {
	out := []nodeJSON{}
	for _, n := range nodes {
		out = append(out, nodeJSON{n.ID.String(), n.Addr.String()})
	}
	return out
}

// plural is count for a noun that an s does not make plural.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
