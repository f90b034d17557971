// Package ledger is the core of a private tracker's accounts: how many bytes
// an announce adds to its user and its torrent. A session is one client of a
// user on one torrent, with the counters of its last announce; a delta is what
// a user's sessions on one torrent have added since the last batch; a batch is
// a set of deltas and the sessions' counters that belong to them, to be stored
// together.
//
// [Ledger] is pure: no goroutine, clock, lock or database. Time comes in as a
// duration since the Unix epoch, by a clock that does not jump. Sessions,
// deltas without a session, sessions of a user on one torrent and findings are
// bounded by the [Config]; silent sessions leave by [Ledger.Expire].
//
// The counters of an announce are sums since the client's start ("the total
// amount uploaded so far", BEP 3). Because a session's counters are stored
// together with the delta that reached up to them, a tracker that is killed
// finds the old counters with the old sums, and the next announce brings what
// was lost: nothing is counted twice, and nothing is lost for good unless the
// client never announces again.
package ledger
