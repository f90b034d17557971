// Package quota shares what a process has among its torrents: the rates up and
// down, upload slots, connections, half-open dials and bytes of block memory.
//
// A Quota is the process, a Share one torrent's part; an engine asks its
// Share, which answers at once. Rates are shared in turns: every torrent that
// wants more than it gets waits for one block at a time, in the order of
// asking, so they get equal parts of what the modest ones leave (max-min
// fairness). What is held and given back is shared by letting the one that
// holds less go first.
//
// The package is a pure core: time is a parameter, there is no lock, and the
// same calls give the same answers. Every limit is in Config or Limits; the
// state is a few numbers for each Share. Leave ends a Share.
package quota
