package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/certs"
	"github.com/shoal-bt/shoal/tracker/server"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// trackerSettings are what "shoal tracker run" is told by its flags and by its
// file. The flags' sentences explain the keys of the file, too.
type trackerSettings struct {
	http, https, udp string
	state            string

	open      bool
	whitelist string
	blacklist string
	privateFlags
	oversightFlags

	interval, minInterval      time.Duration
	numWant, maxNumWant        int
	nearBits4, nearBits6       int
	maxScrape                  int
	trustedIP                  networksFlag
	trustedProxies             networksFlag
	proxyHeader                server.ProxyHeader
	maxConns, maxConnsPerAddr  int
	maxTorrents, maxPeers      int
	tlsCert, tlsKey            string
	acme                       certs.ACMEConfig
	logLevel                   levelFlag
	logFormat                  string
	drain                      time.Duration
	config                     string
	printConfig, json, isQuiet bool
}

// The limits of the settings. An interval of a day is arbitrary: a peer that
// died is listed for twice as long. Service managers kill after 90 seconds.
const (
	maxInterval = 24 * time.Hour
	maxDrain    = time.Minute
)

// What --udp takes instead of an address.
const (
	sameAsHTTP = "same"
	noUDP      = "off"
)

// The forms of the log.
const (
	logText = "text"
	logJSON = "json"
)

func (s *trackerSettings) flags(fs *pflag.FlagSet) {
	fs.StringVar(&s.config, "config", "", "read what is not said by flags from `FILE` (see --print-config)")
	fs.BoolVar(&s.printConfig, "print-config", false, "print the configuration, with every key explained, and end")
	fs.StringVar(&s.http, "http", ":6969", "listen for HTTP announces on `ADDR`, such as :6969 or 127.0.0.1:6969, or unix:PATH for a proxy on this machine")
	fs.StringVar(&s.https, "https", "", "listen for HTTPS announces on `ADDR`, such as :443 (default: nowhere)")
	fs.StringVar(&s.udp, "udp", sameAsHTTP, "listen for UDP announces on `ADDR`, \"same\" as --http, or \"off\"")
	fs.BoolVar(&s.open, "open", false, "track every torrent")
	fs.StringVar(&s.whitelist, "whitelist", "", "track the torrents in `FILE|DIR` only: a file of info-hashes, one a line, or a folder of .torrent files, in which changes are noticed")
	fs.StringVar(&s.blacklist, "blacklist", "", "track every torrent but those in `FILE|DIR`")
	fs.StringVar(&s.state, "state", "", "keep the peers over a restart, in `FILE`")
	fs.DurationVar(&s.interval, "interval", server.DefaultInterval, "tell peers to announce every `D`")
	s.privateFlags.flags(fs)
	s.oversightFlags.flags(fs)
	fs.Var(&s.trustedProxies, "trusted-proxy", "a proxy in the `NETWORK` may say for whom it asks, such as 127.0.0.1 or 10.0.0.0/8; repeatable (default: none)")
	fs.StringVar(&s.tlsCert, "tls-cert", "", "the certificate for --https, with those between behind it, in the PEM `FILE`; a new one is noticed")
	fs.StringVar(&s.tlsKey, "tls-key", "", "its key, in the PEM `FILE`")
	fs.Var(&s.logLevel, "log-level", "log what is at least a debug, info, warn or error")
	fs.StringVar(&s.logFormat, "log-format", logText, "write the log as `FORMAT` text or json")
	fs.BoolVar(&s.json, "json", false, "print the counts as JSON objects, one a line")
	fs.BoolVar(&s.isQuiet, "quiet", false, "log no counts, only what goes wrong")
}

// fileFlags are the keys that have no flag. Their names are those of the file.
func (s *trackerSettings) fileFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&s.minInterval, "announce.min_interval", server.DefaultMinInterval, "Peers that found too few others may announce so often; never less often than the interval.")
	fs.IntVar(&s.numWant, "announce.numwant", swarm.DefaultNumWant, "So many peers go to an announcer that does not say how many it would like.")
	fs.IntVar(&s.maxNumWant, "announce.max_numwant", swarm.DefaultMaxNumWant, "No announcer gets more peers than this.")
	fs.IntVar(&s.nearBits4, "announce.near_ipv4_bits", 0, "Peers whose IPv4 addresses begin with the same bits, so many, are up to half of what an announcer gets; 0 prefers nobody.")
	fs.IntVar(&s.nearBits6, "announce.near_ipv6_bits", 0, "The same for IPv6.")
	fs.IntVar(&s.maxScrape, "announce.max_scrape", server.DefaultMaxScrape, "A scrape over HTTP may name so many torrents.")
	fs.Var(&s.trustedIP, "announce.trusted_ip", "Peers in these networks may announce another address than their own (the parameter ip).")
	s.proxyHeader = server.XForwardedFor
	fs.Var(&s.proxyHeader, "http.proxy_header", "The header by which the trusted proxies say for whom they ask: X-Forwarded-For or Forwarded. The other one is never believed.")
	fs.IntVar(&s.maxConns, "limits.connections", server.DefaultMaxConns, "So many connections may be open, for HTTP and for HTTPS each.")
	fs.IntVar(&s.maxConnsPerAddr, "limits.connections_per_address", server.DefaultMaxConnsPerAddr, "So many of them from one IPv4 address or IPv6 /64; negative is any number.")
	fs.IntVar(&s.maxTorrents, "limits.torrents", swarm.DefaultMaxTorrents, "So many torrents are tracked; more are answered, but not kept.")
	fs.IntVar(&s.maxPeers, "limits.peers", swarm.DefaultMaxPeers, "So many peers are kept, about 24 bytes each.")
	fs.DurationVar(&s.writeEvery, "users.write_every", account.DefaultFlushEvery, "Sums are written to the database so often, and what was changed there is read; what a crash may cost until the next announces.")
	fs.StringArrayVar(&s.acme.Domains, "acme.domains", nil, "Get certificates for these names from an authority, if there are no files. Port 443 of each must lead to tls.listen.")
	fs.StringVar(&s.acme.Email, "acme.email", "", "The authority writes to this address about certificates that end soon.")
	fs.StringVar(&s.acme.Directory, "acme.directory", certs.LetsEncrypt, "The URL of the authority. With the default one, its terms are agreed to.")
	fs.StringVar(&s.acme.CAFile, "acme.ca_file", "", "A private authority is known by the certificates in this PEM file.")
	fs.StringVar(&s.acme.Folder, "acme.folder", "", "The account, its key and the certificates are kept in this folder.")
	fs.DurationVar(&s.drain, "stop.drain", 0, "At the end, announces are answered for so long after /readyz has turned, so that a balancer sends no more.")
}

// modeFlags choose which torrents are tracked; one of them is to be set.
var modeFlags = []string{"open", "whitelist", "blacklist", "private"}

// numModes counts those that were chosen.
func (s *trackerSettings) numModes() (n int) {
	for _, chosen := range []bool{s.open, s.whitelist != "", s.blacklist != "", s.private} {
		if chosen {
			n++
		}
	}
	return n
}

func (s *trackerSettings) check() error {
	switch {
	case s.numModes() > 1:
		return usagef("--open, --whitelist, --blacklist and --private exclude each other")
	case s.numModes() == 0:
		return usagef("say for which torrents: --open for all, --whitelist FILE|DIR, --blacklist FILE|DIR, or --private for those of the database")
	case s.logFormat != logText && s.logFormat != logJSON:
		return usagef("--log-format %q is not text or json", s.logFormat)
	case s.drain < 0 || s.drain > maxDrain:
		return usagef("stop.drain %v is not a time from 0s to %v", s.drain, maxDrain)
	}
	for _, check := range []func() error{s.checkAnnounce, s.checkAddrs, s.checkTLS, s.privateFlags.check, s.checkOversight} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *trackerSettings) checkAnnounce() error {
	switch {
	case s.interval < time.Second:
		return usagef("--interval %v is less than a second", s.interval)
	case s.interval > maxInterval:
		return usagef("--interval %v is more than a day", s.interval)
	case s.minInterval < time.Second:
		return usagef("announce.min_interval %v is less than a second", s.minInterval)
	case s.numWant < 1 || s.maxNumWant < 1 || s.maxScrape < 1:
		return usagef("announce.numwant, max_numwant and max_scrape are at least 1")
	case s.nearBits4 < 0 || s.nearBits4 > 32 || s.nearBits6 < 0 || s.nearBits6 > 128:
		return usagef("announce.near_ipv4_bits is from 0 to 32, near_ipv6_bits from 0 to 128")
	case s.maxConns < 1 || s.maxTorrents < 1 || s.maxPeers < 1:
		return usagef("limits.connections, torrents and peers are at least 1")
	case s.maxConnsPerAddr == 0:
		return usagef("limits.connections_per_address is not 0; negative is any number")
	}
	return nil
}

func (s *trackerSettings) checkAddrs() error {
	_, isUnix := strings.CutPrefix(s.http, unixPrefix)
	switch {
	case isUnix && s.udp == sameAsHTTP:
		return usagef("with --http unix:PATH, say --udp ADDR or --udp off")
	case s.udp == sameAsHTTP || s.udp == noUDP:
	default:
		if err := checkAddrFlag("--udp", s.udp); err != nil {
			return err
		}
	}
	if s.https != "" {
		if err := checkAddrFlag("--https", s.https); err != nil {
			return err
		}
	}
	if isUnix {
		return nil
	}
	return checkHTTPFlag(s.http)
}

func (s *trackerSettings) checkTLS() error {
	hasFiles, hasACME := s.tlsCert != "" || s.tlsKey != "", len(s.acme.Domains) > 0
	switch {
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return usagef("--tls-cert and --tls-key belong together")
	case s.https == "" && (hasFiles || hasACME):
		return usagef("a certificate is for --https; say where to listen")
	case s.https != "" && !hasFiles && !hasACME:
		return usagef("--https needs --tls-cert and --tls-key, or acme.domains in the configuration")
	case hasFiles && hasACME:
		return usagef("--tls-cert and acme.domains exclude each other")
	case hasACME && s.acme.Folder == "":
		return usagef("acme.folder is missing")
	}
	return nil
}

// serverConfig is what the server is told, without its lists, users and log.
func (s *trackerSettings) serverConfig() server.Config {
	return server.Config{
		Interval: s.interval, MinInterval: min(s.minInterval, s.interval), NumWant: s.numWant, MaxNumWant: s.maxNumWant, NearBits4: s.nearBits4, NearBits6: s.nearBits6, MaxScrape: s.maxScrape,
		TrustedIP: s.trustedIP, TrustedProxies: s.trustedProxies, ProxyHeader: s.proxyHeader,
		MaxConns: s.maxConns, MaxConnsPerAddr: s.maxConnsPerAddr, MaxTorrents: s.maxTorrents, MaxPeers: s.maxPeers, StateFile: s.state,
	}
}

// networksFlag is a list of networks: a pflag.SliceValue.
type networksFlag []netip.Prefix

func (n *networksFlag) Type() string       { return "networks" }
func (n *networksFlag) String() string     { return strings.Join(n.GetSlice(), ",") }
func (n *networksFlag) Set(s string) error { return n.Append(s) }

// Append adds a network, or the one address.
func (n *networksFlag) Append(s string) error {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(s); err == nil {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	if err != nil || prefix.Addr().Is4In6() {
		return fmt.Errorf("%q is not a network; write it as 10.0.0.0/8 or 192.0.2.7", s)
	}
	*n = append(*n, prefix.Masked())
	return nil
}

// Replace sets the list.
func (n *networksFlag) Replace(list []string) error {
	var networks networksFlag
	for _, s := range list {
		if err := networks.Append(s); err != nil {
			return err
		}
	}
	*n = networks
	return nil
}

// GetSlice returns the list as it is written.
func (n *networksFlag) GetSlice() []string {
	list := make([]string, len(*n))
	for i, network := range *n {
		list[i] = network.String()
	}
	return list
}

// levelFlag is a level of the log: a pflag.Value.
type levelFlag struct{ slog.Level }

var levelNames = []string{"debug", "info", "warn", "error"}

func (l *levelFlag) Type() string   { return "LEVEL" }
func (l *levelFlag) String() string { return strings.ToLower(l.Level.String()) }

func (l *levelFlag) Set(s string) error {
	if !slices.Contains(levelNames, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(levelNames, ", "))
	}
	return l.UnmarshalText([]byte(s))
}
