package server

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// The queries are read here and not by net/url, because info_hash and peer_id
// are bytes: url.ParseQuery turns a raw "+" into a space and drops a pair
// with a raw ";". Nothing is allocated.

// The texts of these errors are the failure reasons that clients show.
var (
	errNoInfoHash  = errors.New("info_hash is missing")
	errInfoHash    = errors.New("info_hash is not 20 bytes, percent-encoded")
	errTwoHashes   = errors.New("info_hash comes twice; announce one torrent at a time")
	errNoPeerID    = errors.New("peer_id is missing")
	errPeerID      = errors.New("peer_id is not 20 bytes, percent-encoded")
	errNoPort      = errors.New("port is missing")
	errPort        = errors.New("port is not a number from 0 to 65535")
	errNumber      = errors.New("uploaded, downloaded or left is not a number")
	errFullScrape  = errors.New("scrape of all torrents is refused; name them by info_hash")
	errManyHashes  = errors.New("scrape names too many torrents at once")
	errNotTracked  = errors.New("this tracker does not serve the torrent: it is not on the whitelist")
	errBlacklisted = errors.New("this tracker does not serve the torrent: it is on the blacklist")
	errUnknownAddr = errors.New("your address could not be found out")
)

// announceQuery is the query of an announce.
type announceQuery struct {
	req     tracker.Request // its Addr without the address
	ip      string          // the ip parameter as it came: see parseIP
	hasHash bool
	hasID   bool
	hasPort bool
}

// parse reads a raw query. Parameters that it does not know are skipped; of
// one that comes twice the last counts, except for info_hash.
func (q *announceQuery) parse(raw string) error {
	// BEP 23: "It is SUGGESTED that trackers return compact format by
	// default."
	*q = announceQuery{req: tracker.Request{Left: -1, NumWant: tracker.NumWantDefault, Compact: true}}
	for raw != "" {
		var pair string
		pair, raw, _ = cutByte(raw, '&')
		key, value, _ := cutByte(pair, '=')
		if err := q.set(key, value); err != nil {
			return err
		}
	}
	switch {
	case !q.hasHash:
		return errNoInfoHash
	case !q.hasID:
		return errNoPeerID
	case !q.hasPort && q.req.Event != tracker.Stopped: // who leaves needs none
		return errNoPort
	}
	return nil
}

// cutByte is strings.Cut for a separator of one byte, which takes a third of
// the time.
func cutByte(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func (q *announceQuery) set(key, value string) (err error) {
	r := &q.req
	switch key {
	case "info_hash":
		if q.hasHash {
			return errTwoHashes
		}
		q.hasHash = true
		return unescape20(r.InfoHash[:], value, errInfoHash)
	case "peer_id":
		q.hasID = true
		return unescape20(r.PeerID[:], value, errPeerID)
	case "port":
		q.hasPort = true
		port, err := strconv.ParseUint(value, 10, 16)
		r.Addr = netip.AddrPortFrom(netip.Addr{}, uint16(port))
		return ifError(err, errPort)
	case "uploaded":
		r.Uploaded, err = parseCount(value)
		r.Uploaded = max(r.Uploaded, 0)
	case "downloaded":
		r.Downloaded, err = parseCount(value)
		r.Downloaded = max(r.Downloaded, 0)
	case "left":
		r.Left, err = parseCount(value)
	case "event":
		r.Event = tracker.ParseEvent(value)
	case "numwant":
		r.NumWant = parseNumWant(value)
	case "compact":
		r.Compact = value != "0"
	case "no_peer_id":
		r.NoPeerID = value == "1"
	case "key":
		key, _ := strconv.ParseUint(value, 16, 32) // BEP 7 leaves its form open; ours is this
		r.Key = uint32(key)
	case "ip":
		q.ip = value
	}
	return err
}

func ifError(err, then error) error {
	if err != nil {
		return then
	}
	return nil
}

// unescape20 decodes exactly 20 bytes into dst. A byte stands for itself or
// is a percent sign and two hexadecimal digits of either case.
func unescape20(dst []byte, s string, wrong error) error {
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return wrong
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return wrong
			}
			c = hi<<4 | lo
			i += 2
		}
		if n == len(dst) {
			return wrong
		}
		dst[n] = c
		n++
	}
	if n != len(dst) {
		return wrong
	}
	return nil
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// parseCount reads a number of bytes. Numbers past int64 saturate (a client
// that does not know what is left sends 2^64-1), negative ones are -1.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && n > 0:
		return math.MaxInt64, nil
	case errors.Is(err, strconv.ErrRange), err == nil && n < 0:
		return -1, nil
	}
	return n, ifError(err, errNumber)
}

// parseNumWant reads numwant; what is no number means that the client leaves
// it to us.
func parseNumWant(s string) int {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return tracker.NumWantDefault
	}
	return int(n)
}

// parseIP reads the ip parameter: an address, whose colons may be escaped.
// The result is invalid for anything else; names are not looked up.
func parseIP(s string) netip.Addr {
	ip, err := netip.ParseAddr(strings.NewReplacer("%3A", ":", "%3a", ":").Replace(s))
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

// parseScrape appends the hashes of a raw scrape query to dst, sorted and
// each once: so must the keys of the answer be.
func parseScrape(dst []metainfo.InfoHash, raw string, most int) ([]metainfo.InfoHash, error) {
	for raw != "" {
		var pair string
		pair, raw, _ = cutByte(raw, '&')
		value, ok := strings.CutPrefix(pair, "info_hash=")
		if !ok {
			continue
		}
		if len(dst) == most {
			return dst, errManyHashes
		}
		var h metainfo.InfoHash
		if err := unescape20(h[:], value, errInfoHash); err != nil {
			return dst, err
		}
		dst = append(dst, h)
	}
	if len(dst) == 0 {
		return dst, errFullScrape
	}
	slices.SortFunc(dst, func(a, b metainfo.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(dst), nil
}
