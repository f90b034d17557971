package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/server"
)

// collector makes metrics of the counters of this moment.
type collector struct{ cfg Config }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("shoal_tracker_"+name, help, labels, nil)
}

var (
	announcesDesc = desc("announces_total", "Announces that were answered with peers.", "transport", "event")
	scrapesDesc   = desc("scrapes_total", "Scrapes that were answered.", "transport")
	refusedDesc   = desc("refused_total", "Announces and scrapes that were answered with a failure reason.", "transport", "reason")
	faultsDesc    = desc("faults_total", "Requests that made the tracker fail. Each is a bug.")
	packetsDesc   = desc("udp_packets_total", "UDP packets by what became of them; malformed ones and those with a bad connection id got no answer.", "result")
	lateDesc      = desc("udp_late_connection_ids_total", "UDP packets that were answered though their connection id was older than BEP 15 allows.")
	torrentsDesc  = desc("torrents", "Torrents that have a swarm.")
	swarmDesc     = desc("swarm_members", "Members of all swarms.", "role")
	peersDesc     = desc("peers", "Addresses in all swarms.", "family")
	socketsDesc   = desc("listening_sockets", "Sockets that are served.")
	uptimeDesc    = desc("uptime_seconds", "Time since the start.")

	usersDesc         = desc("users", "Users of the tracker.")
	keysDesc          = desc("keys", "Keys that are known, those for single torrents too.")
	registeredDesc    = desc("registered_torrents", "Torrents that may be announced.")
	sessionsDesc      = desc("sessions", "Clients of users that announce a torrent.")
	notAllowedDesc    = desc("not_allowed_total", "Announces that the rules for users refused.", "reason")
	backlogDesc       = desc("ledger_backlog", "Sums that wait to be stored.")
	mergedDesc        = desc("ledger_merged_total", "Sums that lost their torrent because the database was away for too long. They count for their user.")
	untrackedDesc     = desc("ledger_untracked_total", "Announces that were not counted, for want of room.")
	lostFindingsDesc  = desc("ledger_lost_findings_total", "Findings for the review list that were lost, for want of room.")
	flushesDesc       = desc("ledger_flush_duration_seconds", "How long the database took to store a batch of sums.")
	lastStoreDesc     = desc("ledger_seconds_since_store", "Time since the database has taken and told all that it should.")
	databaseErrorDesc = desc("database_errors_total", "Tries that the database failed.", "operation")
	logErrorsDesc     = desc("announce_log_errors_total", "Writes to the announce log that failed.")
	logLostDesc       = desc("announce_log_lost_total", "Entries of the announce log that were lost.")
	findingsDesc      = desc("findings_total", "Findings for the review list, each occurrence counted.", "kind")
)

// eventNames are the events as labels.
var eventNames = [...]string{tracker.None: "none", tracker.Completed: "completed", tracker.Started: "started", tracker.Stopped: "stopped"}

// Describe is prometheus.Collector's.
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect is prometheus.Collector's.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	m := metrics{ch}
	overHTTP, overUDP := c.cfg.Tracker.Traffic()
	m.traffic("http", overHTTP)
	m.traffic("udp", overUDP)
	m.server(c.cfg.Tracker.Stats(), overUDP)
	m.counter(faultsDesc, c.cfg.Tracker.Faults())
	m.gauge(socketsDesc, float64(c.cfg.Tracker.NumListening()))
	if c.cfg.Accounts != nil {
		m.accounts(c.cfg.Accounts.Stats())
	}
}

// metrics are on their way to Prometheus.
type metrics struct{ to chan<- prometheus.Metric }

func (m metrics) gauge(d *prometheus.Desc, value float64, labels ...string) {
	m.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (m metrics) counter(d *prometheus.Desc, value uint64, labels ...string) {
	m.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (m metrics) traffic(transport string, t server.Traffic) {
	for event, n := range t.Announces {
		m.counter(announcesDesc, n, transport, eventNames[event])
	}
	m.counter(scrapesDesc, t.Scrapes, transport)
	for reason, n := range t.Refused {
		m.counter(refusedDesc, n, transport, server.Reason(reason).String())
	}
}

func (m metrics) server(s server.Stats, overUDP server.Traffic) {
	answered, refused := overUDP.Scrapes, uint64(0)
	for _, n := range overUDP.Announces {
		answered += n
	}
	for _, n := range overUDP.Refused {
		refused += n
	}
	m.counter(packetsDesc, s.UDPConnects, "connect")
	m.counter(packetsDesc, answered, "answered")
	m.counter(packetsDesc, refused, "refused")
	m.counter(packetsDesc, s.UDPMalformed, "malformed")
	m.counter(packetsDesc, s.UDPBadIDs, "bad-connection-id")
	m.counter(lateDesc, s.UDPLateIDs)
	m.gauge(torrentsDesc, float64(s.Torrents))
	m.gauge(swarmDesc, float64(s.Seeds), "seed")
	m.gauge(swarmDesc, float64(s.Leechers), "leecher")
	m.gauge(peersDesc, float64(s.Peers4), "ipv4")
	m.gauge(peersDesc, float64(s.Peers6), "ipv6")
	m.gauge(uptimeDesc, float64(s.UptimeSec))
}

func (m metrics) accounts(s account.Stats) {
	m.gauge(usersDesc, float64(s.Users))
	m.gauge(keysDesc, float64(s.Keys))
	m.gauge(registeredDesc, float64(s.Torrents))
	m.gauge(sessionsDesc, float64(s.Ledger.Sessions))
	for reason, n := range s.RefusedBy { // the kinds are fixed
		m.counter(notAllowedDesc, n, reason)
	}
	for kind := ledger.TooFast; int(kind) < len(s.Ledger.Findings); kind++ {
		m.counter(findingsDesc, s.Ledger.Findings[kind], kind.String())
	}
	m.gauge(backlogDesc, float64(s.Ledger.Waiting))
	m.counter(mergedDesc, s.Ledger.Merged)
	m.counter(untrackedDesc, s.Ledger.Untracked)
	m.counter(lostFindingsDesc, s.Ledger.LostFindings)
	m.durations(flushesDesc, s.Flushes)
	m.gauge(lastStoreDesc, s.LastStoreAge.Seconds())
	m.counter(databaseErrorDesc, s.FlushErrors, "flush")
	m.counter(databaseErrorDesc, s.LoadErrors, "load")
	m.counter(logErrorsDesc, s.LogErrors)
	m.counter(logLostDesc, s.LostLogEntries)
}

func (m metrics) durations(d *prometheus.Desc, of account.Durations) {
	buckets := make(map[float64]uint64, len(of.Within))
	for i, n := range of.Within {
		buckets[account.DurationBounds[i].Seconds()] = n
	}
	m.to <- prometheus.MustNewConstHistogram(d, of.Count, float64(of.Sum)/float64(time.Second), buckets)
}
