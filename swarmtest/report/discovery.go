package report

import (
	"slices"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// DiscoverySummary is how the downloaders of a swarm found each other. The
// numbers are of addresses, by who told a downloader of one first; the last is of
// those that connected to it before anybody had told of them.
type DiscoverySummary struct {
	FromTracker  int64 `json:"fromTracker"`
	FromDHT      int64 `json:"fromDHT"`
	FromPEX      int64 `json:"fromPEX"`
	FromIncoming int64 `json:"fromIncoming"`
	// FirstPeerP50 and FirstPeerP95 are from joining to the first connection. Those who never
	// had one, Alone, count as longer than all others.
	FirstPeerP50 Number `json:"firstPeerP50Seconds"`
	FirstPeerP95 Number `json:"firstPeerP95Seconds"`
	Alone        int    `json:"alone"`
	// DHTBytes is what a downloader sent and received in the DHT, on average, headers included.
	DHTBytes Number `json:"dhtBytesPerPeer"`
}

// summarizeDiscovery returns nil where nobody was found: of systems without peers.
func summarizeDiscovery(system *result.System) *DiscoverySummary {
	d, waits, dhtBytes := &DiscoverySummary{}, []float64(nil), int64(0)
	peers := downloaders(system)
	for _, p := range peers {
		found := &p.Discovery
		d.FromTracker += int64(found.FromTracker)
		d.FromDHT += int64(found.FromDHT)
		d.FromPEX += int64(found.FromPEX)
		d.FromIncoming += int64(found.FromIncoming)
		dhtBytes += found.DHTUp + found.DHTDown
		if found.FirstPeer > 0 {
			waits = append(waits, (found.FirstPeer - p.Join).Seconds())
		}
	}
	if len(waits) == 0 && d.FromTracker+d.FromDHT+d.FromPEX+d.FromIncoming+dhtBytes == 0 {
		return nil
	}
	slices.Sort(waits)
	d.Alone = len(peers) - len(waits)
	d.FirstPeerP50, d.FirstPeerP95 = censoredQuantile(0.5, waits, d.Alone), censoredQuantile(0.95, waits, d.Alone)
	d.DHTBytes = Unknown
	if dhtBytes > 0 {
		d.DHTBytes = ratio(float64(dhtBytes), float64(len(peers)))
	}
	return d
}

// firstPeer and dhtBytes are what systems are compared by.
func (s *SystemSummary) firstPeer() Number {
	if s.Discovery == nil {
		return Unknown
	}
	return s.Discovery.FirstPeerP95
}

func (s *SystemSummary) dhtBytes() Number {
	if s.Discovery == nil {
		return Unknown
	}
	return s.Discovery.DHTBytes
}

// bytes writes a number of bytes.
func (n Number) bytes() string {
	if !n.Known() {
		return missing
	}
	if n < 0 {
		return "-" + formatBytes(int64(-n))
	}
	return formatBytes(int64(n))
}

// discoveryTables has a row for each swarm, if there is one whose peers had more than a
// tracker.
func discoveryTables(s *Summary) []*tableView {
	t := &tableView{
		Caption: "How downloaders found peers",
		Head:    []string{"System", "Tracker", "DHT", "Peer exchange", "Were dialled", "First peer, median", "95th percentile", "DHT traffic each"},
		Note:    "Addresses by who told of them first, of all downloaders.",
	}
	beyond := int64(0)
	for i := range s.Systems {
		d := s.Systems[i].Discovery
		if d == nil || len(t.Rows) == maxTableRows {
			continue
		}
		beyond += d.FromDHT + d.FromPEX
		t.Rows = append(t.Rows, []string{
			chart.Clean(s.Systems[i].Name, maxName), count(int(d.FromTracker)), count(int(d.FromDHT)), count(int(d.FromPEX)), count(int(d.FromIncoming)),
			d.FirstPeerP50.time(), d.FirstPeerP95.time(), d.DHTBytes.bytes(),
		})
	}
	if beyond == 0 {
		return nil
	}
	return []*tableView{t}
}
