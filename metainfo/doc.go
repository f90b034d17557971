// Package metainfo holds the words that every other package of Shoal shares,
// and reads and writes .torrent files (BEP 3) and magnet links (BEP 9).
//
// A Metainfo is what a .torrent file says: trackers, web seeds, and an Info,
// the part that the InfoHash names: the files, the piece hashes, and the
// Geometry that cuts the files' bytes into pieces. A Magnet is an InfoHash and
// hints where to find the rest. What is legal but odd about a torrent is
// listed as Findings.
//
// All of it is input from strangers. Nesting, sizes and counts are bounded by
// named constants, nothing is allocated by a claimed length, no path leads out
// of the download folder, and names reach a terminal through Printable only.
// Parsing takes no context: it is bounded by MaxTorrentLen. Create reads whole
// folders and ends early when its context does.
package metainfo
