// Package krpc reads and writes the packets of the BitTorrent DHT: bencoded
// queries, responses and errors, one to a UDP packet (BEP 5), with the
// extensions of BEP 32 (IPv6), 33 (scrape), 42 (the external address), 43
// (read-only nodes), 44 (stored items) and 51 (sampling). A Message is one
// packet; what it says in bytes are views of the packet it was parsed from. A
// Refusal says why a packet is no good, and is at the same time what to answer.
//
// Parse and Append allocate nothing. (Keys out of order, which no BEP allows
// and some nodes send, cost the check for duplicates a slice of the packet's
// size.) Depth, tokens and lengths are bounded before they cost anything.
package krpc
