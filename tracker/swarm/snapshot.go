package swarm

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// The bits of a torrent's and of a peer's flags in a snapshot. The format is in
// docs/formats.md.
const (
	torrentHasIDs = 1 << 0

	peerIsSeed   = 1 << 0
	peerSnatched = 1 << 1
)

// ErrSnapshot says that a snapshot is not one, or ends too early.
var ErrSnapshot = errors.New("swarm: the snapshot is damaged")

// SnapshotCursor says how far a snapshot has come that is taken in parts. Its
// zero value is at the beginning. Like Expire it goes from the last torrent to
// the first, and in each from the last peer to the first, so what a removal
// moves into a gap was seen before.
type SnapshotCursor struct {
	begun        bool
	torrent      int // the one to go on with; -1 at the end
	rest4, rest6 int // its peers below these positions are still to do
}

// AppendSnapshot appends what is known of every torrent to b, one after the
// other, each for RestoreTorrent. Times are relative to now.
func (s *Swarms) AppendSnapshot(now time.Duration, b []byte) []byte {
	b, _ = s.AppendSnapshotPart(now, new(SnapshotCursor), math.MaxInt, b)
	return b
}

// AppendSnapshotPart appends the part of a snapshot that begins at a cursor, for
// those who must not be kept from announcing for long: at most so many torrents
// and peers together. more says that there are others. A torrent with many
// peers comes several times, with some of them each.
//
// What changes between two parts may be missing or come twice: a peer who
// becomes a seed changes places with another. RestoreTorrent takes each peer once.
func (s *Swarms) AppendSnapshotPart(now time.Duration, at *SnapshotCursor, most int, b []byte) (_ []byte, more bool) {
	if last := s.torrents.num - 1; !at.begun || at.torrent > last {
		at.begun = true
		at.enter(s, last)
	}
	for most > 0 && at.torrent >= 0 {
		t := s.torrents.at(at.torrent)
		at.rest4, at.rest6 = min(at.rest4, int(t.v4.num)), min(at.rest6, int(t.v6.num))
		num4 := min(at.rest4, most)
		num6 := min(at.rest6, most-num4)
		b = s.appendHead(t, now, num4, num6, b)
		b = s.v4.appendSnapshot(&t.v4, at.rest4-num4, at.rest4, seconds(now), b)
		b = s.v6.appendSnapshot(&t.v6, at.rest6-num6, at.rest6, seconds(now), b)
		at.rest4 -= num4
		at.rest6 -= num6
		most -= 1 + num4 + num6
		if at.rest4 == 0 && at.rest6 == 0 {
			at.enter(s, at.torrent-1)
		}
	}
	return b, at.torrent >= 0
}

// enter begins with a torrent.
func (at *SnapshotCursor) enter(s *Swarms, torrent int) {
	if at.torrent = torrent; torrent >= 0 {
		t := s.torrents.at(torrent)
		at.rest4, at.rest6 = int(t.v4.num), int(t.v6.num)
	}
}

// appendHead appends what stands before the peers of a torrent.
func (s *Swarms) appendHead(t *torrent, now time.Duration, num4, num6 int, b []byte) []byte {
	b = append(b, t.infoHash[:]...)
	b = binary.BigEndian.AppendUint32(b, t.downloaded)
	b = binary.BigEndian.AppendUint32(b, seconds(now)-t.emptySince)
	if s.cfg.KeepPeerIDs {
		b = append(b, torrentHasIDs)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(num4))
	return binary.BigEndian.AppendUint32(b, uint32(num6))
}

// appendSnapshot appends the peers of a list from one position to before
// another.
func (f *family[A]) appendSnapshot(l *list, from, to int, now uint32, b []byte) []byte {
	p := f.peers(l)
	for pos := from; pos < to; pos++ {
		m := &p.members[pos]
		for i := range len(m.addr) {
			b = append(b, m.addr[i])
		}
		var flags byte
		if pos < int(l.numSeeds) {
			flags |= peerIsSeed
		}
		if m.snatched {
			flags |= peerSnatched
		}
		b = append(b, flags)
		b = binary.BigEndian.AppendUint32(b, now-m.seen)
		if p.ids != nil {
			b = append(b, p.ids[pos][:]...)
		}
	}
	return b
}

// SnapshotInfoHash returns the info-hash of the torrent at the beginning of a
// snapshot, for those who divide torrents among several Swarms. The error is
// ErrSnapshot.
func SnapshotInfoHash(b []byte) (metainfo.InfoHash, error) {
	if len(b) < len(metainfo.InfoHash{}) {
		return metainfo.InfoHash{}, ErrSnapshot
	}
	return metainfo.InfoHash(b), nil
}

// RestoreTorrent enters the torrent at the beginning of a snapshot that is so
// old, and returns what follows it. Peers that have fallen silent meanwhile are
// left out, and so is what is past the bounds of the Config, or known already.
// The error is ErrSnapshot; what came before the damage is entered then.
func (s *Swarms) RestoreTorrent(now, age time.Duration, b []byte) (rest []byte, err error) {
	const headLen = 20 + 4 + 4 + 1 + 4 + 4
	if len(b) < headLen {
		return nil, ErrSnapshot
	}
	h := metainfo.InfoHash(b)
	num4, num6 := binary.BigEndian.Uint32(b[29:]), binary.BigEndian.Uint32(b[33:])
	r := restoring{now: seconds(now), age: seconds(age), hasIDs: b[28]&torrentHasIDs != 0}
	r.torrent = s.torrents.find(h)
	if r.torrent == none {
		if r.torrent = s.addTorrent(now, h); r.torrent != none {
			t := s.torrents.at(r.torrent)
			t.downloaded = binary.BigEndian.Uint32(b[20:])
			t.emptySince = r.now - r.age - binary.BigEndian.Uint32(b[24:])
		}
	}
	if rest, err = s.v4.restore(s, r, num4, b[headLen:]); err != nil {
		return nil, err
	}
	return s.v6.restore(s, r, num6, rest)
}

// restoring is what the peers of a torrent have in common that is restored.
type restoring struct {
	torrent  int // or none: there is no room for it
	now, age uint32
	hasIDs   bool
}

func (f *family[A]) restore(s *Swarms, r restoring, num uint32, b []byte) ([]byte, error) {
	addrLen := len(*new(A))
	fixedLen := addrLen + 1 + 4
	peerLen := fixedLen
	if r.hasIDs {
		peerLen += len(metainfo.PeerID{})
	}
	for range num {
		if len(b) < peerLen {
			return nil, ErrSnapshot
		}
		var m member[A]
		for i := range len(m.addr) {
			m.addr[i] = b[i]
		}
		flags, silent := b[addrLen], binary.BigEndian.Uint32(b[addrLen+1:])
		m.snatched = flags&peerSnatched != 0
		m.seen = r.now - r.age - silent
		isAlive := uint64(silent)+uint64(r.age) <= uint64(seconds(s.cfg.Timeout))
		hasRoom := r.torrent != none && s.numPeers() < s.cfg.MaxPeers
		if isAlive && hasRoom && f.find(f.listOf(uint32(r.torrent)), m.addr) == none {
			f.restorePeer(r, m, flags&peerIsSeed != 0, b[fixedLen:peerLen])
		}
		b = b[peerLen:]
	}
	return b, nil
}

func (f *family[A]) restorePeer(r restoring, m member[A], isSeed bool, id []byte) {
	l := f.listOf(uint32(r.torrent))
	pos := f.setSeed(l, f.add(uint32(r.torrent), m.addr), isSeed)
	p := f.peers(l)
	p.members[pos] = m
	if p.ids != nil {
		copy(p.ids[pos][:], id)
	}
}
