// Package tracker holds the words that a tracker and its clients share: an
// announce [Request] says who has how much of a torrent, a [Response] names
// peers of its swarm, and [ScrapeStats] counts them. A tracker that refuses
// answers with a [FailureError].
//
// The packages below it decide and act: announce (when a torrent announces to
// which of its trackers, pure), swarm (who is in which swarm, pure), udp (the
// packets of BEP 15, pure), client and server (HTTP and UDP). The types here are
// plain values; nothing runs.
package tracker
