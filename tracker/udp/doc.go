// Package udp is the wire format of UDP trackers (BEP 15) and of its
// extensions (BEP 41), for clients and trackers alike. A request is a
// [RequestHeader] and what its [Action] adds; a response is a
// [ResponseHeader] and what its Action adds; behind an announce request there
// may be options, of which one is known: the path of the tracker's URL.
//
// Append functions append to a slice and Parse functions read from one, both
// without an allocation; nothing here runs, waits or keeps anything. What is
// parsed is bounded by the bytes given. A packet may be longer than its format
// ("Do not expect packets to be exactly of a certain size", BEP 15), never
// shorter. Peers are in the form of package compact: IPv4 or IPv6, as "the
// address family of the underlying UDP packet" says.
package udp
