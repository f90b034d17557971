// Package announce is the announce schedule of one torrent: which of its
// trackers hears from us when, and with which event. Trackers stand in tiers
// (BEP 12); a round is one walk over the tiers until a tracker answers; an
// [Announce] is one request of a round, whose outcome its caller reports.
//
// [Schedule] is pure: time comes in as a duration since any fixed moment,
// randomness in the [Config], and a URL is an opaque string, so that a DHT can
// be announced to by a schedule of its own. It waits for outcomes without a
// time-out of its own; whoever makes the requests bounds them. Trackers are
// bounded by MaxTrackers, intervals and back-off by named constants.
// [Schedule.Stop] ends it.
package announce
