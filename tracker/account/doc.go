// Package account is the private side of a tracker: a [User] announces with a
// [Key] in the announce path, for torrents that were added, and what he moves
// is counted. A [Store] is the database behind it (sqlite is one, and
// accounttest the contract of all); a [Service] stands between the two, answers
// announces from memory and writes what the ledger has added every few
// seconds.
//
// The database is never on the path of an announce. If it is away, sums wait
// in memory, bounded by the ledger's Config. The tables in memory grow with
// users, keys and torrents only, about 200 bytes each. [Service.Run] is the one
// goroutine; it ends with its context, after a last write.
package account
