package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/server"
)

func shareCommand() command {
	return command{
		name:    "share",
		summary: "share a file or a folder from this machine: torrent, tracker and seed in one",
		usage:   "[flags] PATH",
		about: `
It makes a .torrent, runs a tracker and a DHT node for it, and seeds until
Ctrl-C. Give the magnet link or the .torrent to whoever shall have the data:
"shoal get" downloads with either, and so does any other BitTorrent client that
reaches this machine. The tracker runs on port 6969, or on any free one if that
is in use.`,
		example: "shoal share photos/    # writes photos.torrent",
		new:     func() runner { return new(shareRun) },
	}
}

// trackerPort is where trackers listen by custom.
const trackerPort = 6969

type shareRun struct {
	connFlags
	output string
	http   string
	json   bool
	quiet  bool
}

func (r *shareRun) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&r.output, "output", "o", "", "write the torrent to `FILE` (default: the name and .torrent)")
	fs.StringVar(&r.http, "http", "", "the tracker listens on `ADDR`, such as :6969 (default: port 6969, or any)")
	fs.IntVar(&r.port, "port", 0, "listen for peers on port `N` (default: the first free one from 6881 up)")
	fs.StringVar(&r.bind, "bind", "", "use the local address `ADDR` only (default: all)")
	r.connFlags.dhtFlags(fs)
	fs.Var(&r.up, "up", "upload no faster than this (default: no limit)")
	fs.IntVar(&r.maxPeers, "max-peers", 0, "connect to at most `N` peers")
	fs.BoolVar(&r.json, "json", false, "print a JSON object when sharing begins")
	fs.BoolVar(&r.quiet, "quiet", false, "show no progress")
}

// shareJSON is what "shoal share --json" prints when everything runs.
type shareJSON struct {
	Torrent  string `json:"torrent"`
	Magnet   string `json:"magnet"`
	Tracker  string `json:"tracker"`
	InfoHash string `json:"info_hash"`
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
	Port     int    `json:"port"`
}

func (r *shareRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name one file or folder to share")
	}
	if err := r.connFlags.check(); err != nil {
		return err
	}
	if err := mustHaveFolder(r.output); err != nil { // before an hour of hashing
		return err
	}
	t, err := r.startTracker(ctx)
	if err != nil {
		return err
	}
	defer t.stop() // after the seed has said goodbye to it
	s := newSession(e, &r.connFlags, r.quiet)
	err = r.share(ctx, s, t, args[0])
	return errors.Join(err, s.close(ctx))
}

// startTracker runs a tracker where --http says, or on the customary port.
func (r *shareRun) startTracker(ctx context.Context) (*localTracker, error) {
	cfg := server.Config{Interval: 2 * time.Minute} // a small swarm, and it may be gone soon
	if r.http != "" {
		if err := checkHTTPFlag(r.http); err != nil {
			return nil, err
		}
		return startTracker(ctx, r.http, cfg)
	}
	host := ""
	if r.bindAddr.IsValid() {
		host = r.bindAddr.String()
	}
	t, err := startTracker(ctx, net.JoinHostPort(host, strconv.Itoa(trackerPort)), cfg)
	if err != nil {
		t, err = startTracker(ctx, net.JoinHostPort(host, "0"), cfg)
	}
	return t, err
}

func (r *shareRun) share(ctx context.Context, s *session, tracker *localTracker, path string) error {
	host := r.bindAddr
	if !host.IsValid() {
		host = tracker.addr.Addr()
	}
	url := tracker.announceURL(reachableAddr(host))
	m, output, err := r.makeTorrent(ctx, s.e, path, url)
	if err != nil {
		return err
	}
	want, err := selectFiles(&m.Info, nil)
	if err != nil {
		return err
	}
	t := &transfer{contents: newContents(m, want), dir: path}
	if t.store, err = openData(path, &m.Info, s.handles); err != nil {
		return err
	}
	s.transfers = append(s.transfers, t)
	t.have = t.want.want.Clone() // it was hashed just now
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.start(t); err != nil {
		return err
	}
	if err := r.announce(s, t, output, url); err != nil {
		return err
	}
	return s.run(ctx, func(time.Time) bool { return false })
}

// announce says what to give to whom.
func (r *shareRun) announce(s *session, t *transfer, output, url string) error {
	link := t.meta.Magnet()
	link.Peers = r.addresses(s)
	if r.json {
		return s.e.printJSON(shareJSON{
			Torrent: output, Magnet: link.String(), Tracker: url, InfoHash: t.meta.InfoHash.String(), Name: t.meta.Info.Name,
			Bytes: t.meta.Info.Geometry.TotalLen(), Port: s.client.Port(),
		})
	}
	s.e.printf("sharing %s (%s)\n", t.name(), formatSize(t.meta.Info.Geometry.TotalLen()))
	printField(s.e, "torrent", output)
	printField(s.e, "tracker", url)
	printField(s.e, "magnet", link.String())
	return nil
}

// addresses are where peers of the local network, and beyond it if a router
// does not stand in between, reach the seed: a magnet link names them (BEP 9's
// x.pe), so that it works without any other way to find a peer.
func (r *shareRun) addresses(s *session) []string {
	var out []string
	for _, addr := range reachableAddrs(r.bindAddr) {
		out = append(out, netip.AddrPortFrom(addr, uint16(s.client.Port())).String())
	}
	return out
}

// makeTorrent writes the torrent of path. One that an earlier share of the same
// data has left is replaced: the tracker's address may be another one now.
func (r *shareRun) makeTorrent(ctx context.Context, e *env, path, url string) (m *metainfo.Metainfo, output string, err error) {
	m, b, err := e.createTorrent(ctx, r.quiet, path, metainfo.CreateOptions{Announce: [][]string{{url}}})
	if err != nil {
		return nil, "", err
	}
	output = torrentPath(r.output, m.Info.Name)
	if old, err := metainfo.Load(output); err == nil && old.InfoHash == m.InfoHash {
		return m, output, replaceFile(output, b)
	}
	return m, output, writeNew(output, b)
}
