package main

import (
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
)

// The JSON of "shoal dht run --json": one nodeStatsJSON for each interval, and
// one at the end.
type (
	nodeStatsJSON struct {
		ID       string      `json:"id"`
		External string      `json:"external,omitempty"`
		Joined   bool        `json:"joined"`
		Uptime   float64     `json:"uptime_seconds"`
		Listen   []string    `json:"listen"`
		IPv4     tableJSON   `json:"ipv4"`
		IPv6     tableJSON   `json:"ipv6"`
		In       trafficJSON `json:"in"`
		Out      trafficJSON `json:"out"`
		Ignored  ignoredJSON `json:"ignored"`
		Lost     lostJSON    `json:"lost"`
		Stored   storesJSON  `json:"stored"`
		Lookups  int         `json:"lookups"`
		Waiting  int         `json:"lookups_waiting"`
	}
	tableJSON struct {
		On      bool  `json:"on"`
		Nodes   int   `json:"nodes"`
		Buckets []int `json:"buckets"`
	}
	trafficJSON struct {
		Packets   uint64      `json:"packets"`
		Bytes     uint64      `json:"bytes"`
		Queries   queriesJSON `json:"queries"`
		Responses uint64      `json:"responses"`
		Errors    uint64      `json:"errors"`
	}
	queriesJSON struct {
		Ping             uint64 `json:"ping"`
		FindNode         uint64 `json:"find_node"`
		GetPeers         uint64 `json:"get_peers"`
		AnnouncePeer     uint64 `json:"announce_peer"`
		Get              uint64 `json:"get"`
		Put              uint64 `json:"put"`
		SampleInfohashes uint64 `json:"sample_infohashes"`
		Unknown          uint64 `json:"unknown"`
	}
	ignoredJSON struct {
		Malformed   uint64 `json:"malformed"`
		Unsolicited uint64 `json:"unsolicited"`
		OverQuota   uint64 `json:"over_quota"`
		ReadOnly    uint64 `json:"read_only"`
		Unreachable uint64 `json:"unreachable"`
	}
	lostJSON struct {
		TooLong      uint64 `json:"too_long"`
		NotSent      uint64 `json:"not_sent"`
		ReadFailures uint64 `json:"read_failures"`
	}
	storesJSON struct {
		Torrents int `json:"torrents"`
		Peers    int `json:"peers"`
		Items    int `json:"items"`
	}
)

func (s snapshot) json() nodeStatsJSON {
	c := &s.Counts
	out := nodeStatsJSON{
		ID: s.ID.String(), Joined: s.Ready, Uptime: seconds(s.uptime), Listen: []string{},
		IPv4: tableStats(s.IPv4), IPv6: tableStats(s.IPv6),
		In:      trafficJSON{s.In.Packets, s.In.Bytes, queriesByMethod(&c.QueriesIn), c.ResponsesIn, c.ErrorsIn},
		Out:     trafficJSON{s.Out.Packets, s.Out.Bytes, queriesByMethod(&c.QueriesOut), c.ResponsesOut, c.ErrorsOut},
		Ignored: ignoredJSON{c.Malformed, c.Unsolicited, c.OverQuota, c.Ignored, c.Unreachable},
		Lost:    lostJSON{s.Dropped.TooLong, s.Dropped.SendFailed, s.Dropped.ReadFailures},
		Stored:  storesJSON{s.Stored.Torrents, s.Stored.Peers, s.Stored.Items},
		Lookups: s.Lookups,
		Waiting: s.WaitingLookups,
	}
	if s.External.IsValid() {
		out.External = s.External.String()
	}
	for _, addr := range s.listen {
		out.Listen = append(out.Listen, addr.String())
	}
	return out
}

func tableStats(t dht.TableStats) tableJSON { return tableJSON{t.On, t.NumNodes, nonNil(t.Buckets)} }

func queriesByMethod(counts *[krpc.Unknown + 1]uint64) queriesJSON {
	return queriesJSON{
		Ping: counts[krpc.Ping], FindNode: counts[krpc.FindNode], GetPeers: counts[krpc.GetPeers],
		AnnouncePeer: counts[krpc.AnnouncePeer], Get: counts[krpc.Get], Put: counts[krpc.Put],
		SampleInfohashes: counts[krpc.SampleInfohashes], Unknown: counts[krpc.Unknown],
	}
}
