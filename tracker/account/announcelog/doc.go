// Package announcelog is an optional log of what a private tracker's ledger was
// given. An [Entry] is one announce with its time; a [Writer] appends entries to
// a file; [Read] gives them back, for example to a fresh ledger, which then
// comes to the same sums.
//
// Entries have one length and a checksum each, so that a torn end or a damaged
// place costs the entries it covers and no others. The file holds no keys and
// no addresses. A Writer keeps two files of at most [Config.MaxLen] bytes;
// nothing runs in it, and [Writer.Close] ends it.
package announcelog
