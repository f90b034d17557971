package report

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// peerColumns are those of peers.csv. Times are seconds, empty for what did not
// happen; duration and share are computed from the others.
var peerColumns = []string{
	"system", "index", "class", "region", "isp", "content", "server",
	"join_s", "first_piece_s", "complete_s", "leave_s",
	"up_bytes", "down_bytes", "wasted_bytes", "messages_up_bytes", "messages_down_bytes",
	"occupied_s", "up_rate", "down_rate", "duration_s", "share_ratio",
	"cross_isp_bytes", "hash_fails", "banned_by", "from_servers_bytes",
	"first_peer_s", "from_tracker", "from_dht", "from_pex", "from_incoming", "dht_up_bytes", "dht_down_bytes",
}

func peersCSV(run *result.Run) []byte {
	return table(peerColumns, func(row func(...string)) {
		for i := range run.Systems {
			for j := range run.Systems[i].Peers {
				row(peerRow(run.Systems[i].Name, &run.Systems[i].Peers[j])...)
			}
		}
	})
}

func peerRow(system string, p *result.Peer) []string {
	duration, share, d := "", "", &p.Discovery
	if took, completed := p.Duration(); completed {
		duration = decimalSeconds(took)
	}
	if !p.Server && p.Down > 0 {
		share = decimal(float64(p.Up) / float64(p.Down))
	}
	return []string{
		system, strconv.Itoa(p.Index), p.Class, p.Region, p.ISP, strconv.Itoa(p.Content), strconv.FormatBool(p.Server),
		decimalSeconds(p.Join), happened(p.FirstPiece), happened(p.Complete), happened(p.Leave),
		integer(p.Up), integer(p.Down), integer(p.Wasted), integer(p.MessagesUp), integer(p.MessagesDown),
		decimalSeconds(p.Occupied), integer(p.UpRate), integer(p.DownRate), duration, share,
		integer(p.CrossISP), strconv.Itoa(p.HashFails), strconv.Itoa(p.BannedBy), integer(p.FromServers),
		happened(d.FirstPeer), strconv.Itoa(d.FromTracker), strconv.Itoa(d.FromDHT), strconv.Itoa(d.FromPEX), strconv.Itoa(d.FromIncoming),
		integer(d.DHTUp), integer(d.DHTDown),
	}
}

// sampleColumns are those of timeseries.csv, before a column bytes_SOURCE for
// each source of any system.
var sampleColumns = []string{
	"system", "at_s", "seeds", "leechers", "completed", "gone",
	"uplink_use", "min_copies", "mean_copies", "entropy",
}

// bytesColumn begins the name of a source's column.
const bytesColumn = "bytes_"

func timeseriesCSV(run *result.Run) []byte {
	sources := allSources(run)
	columns := append([]string(nil), sampleColumns...)
	for _, source := range sources {
		columns = append(columns, bytesColumn+source)
	}
	return table(columns, func(row func(...string)) {
		for i := range run.Systems {
			for j := range run.Systems[i].Samples {
				row(sampleRow(&run.Systems[i], &run.Systems[i].Samples[j], sources)...)
			}
		}
	})
}

func sampleRow(system *result.System, s *result.Sample, sources []string) []string {
	row := []string{
		system.Name, decimalSeconds(s.At), strconv.Itoa(s.Seeds), strconv.Itoa(s.Leechers), strconv.Itoa(s.Completed), strconv.Itoa(s.Gone),
		decimal(s.UplinkUse), strconv.Itoa(s.MinCopies), decimal(s.MeanCopies), decimal(s.Entropy),
	}
	for _, source := range sources {
		row = append(row, sourceBytes(system, s, source))
	}
	return row
}

// sourceBytes is empty if a system has no such source.
func sourceBytes(system *result.System, s *result.Sample, source string) string {
	for i := range system.Sources {
		if system.Sources[i].Name == source && i < len(s.Bytes) {
			return integer(s.Bytes[i])
		}
	}
	return ""
}

// allSources returns the names of the sources in the order in which they first
// occur.
func allSources(run *result.Run) (names []string) {
	known := map[string]bool{}
	for i := range run.Systems {
		for _, source := range run.Systems[i].Sources {
			if !known[source.Name] {
				known[source.Name] = true
				names = append(names, source.Name)
			}
		}
	}
	return names
}

// table returns a table as RFC 4180 has it, but with lines that end in LF.
func table(columns []string, fill func(row func(...string))) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	row := func(fields ...string) { _ = w.Write(fields) } // a Buffer has no errors
	row(columns...)
	fill(row)
	w.Flush()
	return b.Bytes()
}

func integer(n int64) string { return strconv.FormatInt(n, 10) }

// decimal is the shortest form that reads as the same number.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// decimalSeconds is a duration in seconds, exact to the nanosecond.
func decimalSeconds(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	whole, fraction := uint64(d)/1e9, uint64(d)%1e9
	text := sign + strconv.FormatUint(whole, 10)
	if fraction == 0 {
		return text
	}
	digits := strconv.FormatUint(1e9+fraction, 10)[1:]
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return text + "." + digits[:end]
}

// happened is empty for a time of 0.
func happened(at time.Duration) string {
	if at == 0 {
		return ""
	}
	return decimalSeconds(at)
}
