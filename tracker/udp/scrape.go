package udp

import (
	"encoding/binary"
	"math"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// MaxScrape is how many torrents one scrape asks for at most. BEP 15: "Up to
// about 74 torrents can be scraped at once". That is a packet of 1,496 bytes,
// and 1,524 with the headers of UDP and IPv4: who wants to fit into an Ethernet
// frame asks for fewer.
const MaxScrape = 74

// ParseInfoHash reads one info-hash of what a scrape request has behind its
// header, which is info-hashes to the end of the packet. ok is false at the
// end; bytes that are too few for an info-hash are ignored.
func ParseInfoHash(body []byte) (h metainfo.InfoHash, rest []byte, ok bool) {
	if len(body) < len(h) {
		return h, nil, false
	}
	return metainfo.InfoHash(body), body[len(h):], true
}

// AppendScrapeStats appends the counts of one torrent to b, ScrapeStatsLen
// bytes. A scrape response is its header and the counts of each torrent asked
// for, in the same order.
func AppendScrapeStats(b []byte, s tracker.ScrapeStats) []byte {
	b = binary.BigEndian.AppendUint32(b, saturated(s.Complete))
	b = binary.BigEndian.AppendUint32(b, saturated(s.Downloaded))
	return binary.BigEndian.AppendUint32(b, saturated(s.Incomplete))
}

// ParseScrapeStats reads the counts of one torrent at the beginning of body.
// The error is ErrShort: counts of more torrents were expected than came.
func ParseScrapeStats(body []byte) (s tracker.ScrapeStats, rest []byte, err error) {
	if len(body) < ScrapeStatsLen {
		return s, nil, ErrShort
	}
	s.Complete = Count(binary.BigEndian.Uint32(body))
	s.Downloaded = Count(binary.BigEndian.Uint32(body[4:]))
	s.Incomplete = Count(binary.BigEndian.Uint32(body[8:]))
	return s, body[ScrapeStatsLen:], nil
}

// Count is n as a number of peers. No swarm is larger than an int32, and an int
// may hold no more.
func Count(n uint32) int { return int(min(n, math.MaxInt32)) }

// saturated keeps a count inside of its field, instead of letting it begin at
// zero again.
func saturated(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }
