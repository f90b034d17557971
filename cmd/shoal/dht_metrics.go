package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
)

// Bounds of serving metrics, which a few scrapers ask for twice a minute.
const (
	maxScrapers    = 16 // connections
	metricsTimeout = 10 * time.Second
	maxMetricsHead = 8 << 10 // bytes of a request
)

// metricsServer serves a node's metrics. All of its methods work on nil, which
// serves nothing.
type metricsServer struct {
	addr   netip.AddrPort
	http   *http.Server
	served chan error
}

// checkMetricsFlag refuses what cannot be listened on.
func checkMetricsFlag(addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return usagef("--metrics %q is not an address; write it as :9881, or as 192.168.1.5:9881 to be reached from other machines", addr)
	}
	return nil
}

// startMetrics serves the metrics of a node on addr, or nowhere if that is empty.
func startMetrics(ctx context.Context, addr string, s *dht.Server) (*metricsServer, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := listenPrivately(ctx, "--metrics", addr)
	if err != nil {
		return nil, err
	}
	m := &metricsServer{
		addr: ln.Addr().(*net.TCPAddr).AddrPort(),
		http: &http.Server{
			Handler:           metricsHandler(s),
			ReadHeaderTimeout: metricsTimeout, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, IdleTimeout: time.Minute,
			MaxHeaderBytes: maxMetricsHead,
			ErrorLog:       log.New(io.Discard, "", 0), // it has a line for each bad client
		},
		served: make(chan error, 1),
	}
	go func() { m.served <- m.http.Serve(netutil.LimitListener(ln, maxScrapers)) }()
	return m, nil
}

// failed has an error if serving ends too early; whoever takes it puts it back,
// for stop.
func (m *metricsServer) failed() chan error {
	if m == nil {
		return nil
	}
	return m.served
}

// stop ends serving, requests under way included, and waits for it.
func (m *metricsServer) stop() error {
	if m == nil {
		return nil
	}
	err := m.http.Close()
	if served := <-m.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func metricsHandler(s *dht.Server) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(nodeCollector{s.Stats}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapers}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		stats := s.Stats()
		if !stats.Ready || stats.IPv4.NumNodes+stats.IPv6.NumNodes == 0 {
			http.Error(w, "the node knows no other nodes", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return mux
}

// nodeCollector makes metrics of a node's Stats. All labels have fixed values:
// nothing that a stranger sends becomes one.
type nodeCollector struct{ stats func() dht.Stats }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("shoal_dht_"+name, help, labels, nil)
}

var (
	joinedDesc    = desc("joined", "Whether the node has joined the network (1) or not yet (0).")
	nodesDesc     = desc("nodes", "Nodes in the routing table.", "family")
	depthDesc     = desc("table_depth", "Buckets of the routing table, up to the last one that has nodes.", "family")
	packetsDesc   = desc("packets_total", "UDP packets.", "direction")
	bytesDesc     = desc("bytes_total", "Bytes of UDP payload.", "direction")
	queriesDesc   = desc("queries_total", "Queries.", "direction", "method")
	responsesDesc = desc("responses_total", "Responses.", "direction")
	errorsDesc    = desc("errors_total", "Errors as answers to queries.", "direction")
	ignoredDesc   = desc("ignored_packets_total", "Packets received that were not answered or of no use.", "reason")
	lostDesc      = desc("lost_packets_total", "Packets that never reached the node or the network, and failed reads.", "reason")
	storedDesc    = desc("stored", "What the node keeps for others.", "kind")
	lookupsDesc   = desc("lookups", "Lookups for callers.", "state")
)

// Describe is prometheus.Collector's.
func (c nodeCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect is prometheus.Collector's.
func (c nodeCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	joined := 0
	if s.Ready {
		joined = 1
	}
	gauge(joinedDesc, joined)
	gauge(nodesDesc, s.IPv4.NumNodes, "ipv4")
	gauge(nodesDesc, s.IPv6.NumNodes, "ipv6")
	gauge(depthDesc, len(s.IPv4.Buckets), "ipv4")
	gauge(depthDesc, len(s.IPv6.Buckets), "ipv6")
	gauge(storedDesc, s.Stored.Torrents, "torrents")
	gauge(storedDesc, s.Stored.Peers, "peers")
	gauge(storedDesc, s.Stored.Items, "items")
	gauge(lookupsDesc, s.Lookups, "running")
	gauge(lookupsDesc, s.WaitingLookups, "waiting")
	counter(ignoredDesc, s.Counts.Malformed, "malformed")
	counter(ignoredDesc, s.Counts.Unsolicited, "unsolicited")
	counter(ignoredDesc, s.Counts.OverQuota, "over_quota")
	counter(ignoredDesc, s.Counts.Ignored, "read_only")
	counter(ignoredDesc, s.Counts.Unreachable, "unreachable")
	counter(lostDesc, s.Dropped.TooLong, "too_long")
	counter(lostDesc, s.Dropped.SendFailed, "not_sent")
	counter(lostDesc, s.Dropped.ReadFailures, "read_failure")
	direction := func(name string, t dht.Traffic, queries *[krpc.Unknown + 1]uint64, responses, errs uint64) {
		counter(packetsDesc, t.Packets, name)
		counter(bytesDesc, t.Bytes, name)
		counter(responsesDesc, responses, name)
		counter(errorsDesc, errs, name)
		for _, m := range methods {
			counter(queriesDesc, queries[m], name, m.String())
		}
	}
	direction("in", s.In, &s.Counts.QueriesIn, s.Counts.ResponsesIn, s.Counts.ErrorsIn)
	direction("out", s.Out, &s.Counts.QueriesOut, s.Counts.ResponsesOut, s.Counts.ErrorsOut)
}
