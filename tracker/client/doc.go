// Package client speaks to trackers. A [Client] makes single announces and
// scrapes over HTTP and HTTPS (BEP 3, 7, 23, 24, 31, 48) and over UDP (BEP 15,
// 41); an [Announcer] keeps one torrent announced by the schedule of package
// announce.
//
// A tracker is a stranger: its answer is bounded (MaxBody, MaxPeers), checked
// before it is read, and its text made printable; and one on the Internet
// cannot lead us into the local network. Over UDP, an answer must come from the
// tracker's address and repeat a random number. Requests end with their
// context. An Announcer ends when Run's context does, after at most StopTimeout
// for its good-byes.
package client
