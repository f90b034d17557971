package swarm

import "time"

// sweepsPerTimeout is how often every peer is looked at within a Timeout.
// More would cost time and fewer would keep dead peers for longer; 8 is
// arbitrary.
const sweepsPerTimeout = 8

// sweep is how far Expire has come. It goes round the torrents from the last
// to the first, and through the lists of each from the last peer to the
// first: so what a removal moves into the gap was looked at before.
type sweep struct {
	last    time.Duration // when Expire was called
	torrent int           // the torrent under the broom
	rest4   int           // its IPv4 peers below this position are still to do
	rest6   int           // its IPv6 peers likewise
	all     int           // peers and torrents that the round is to see
}

// Expire removes peers whose last announce is longer ago than the Timeout,
// and torrents that are empty, and returns the number of peers removed.
//
// Each call looks at as many peers as the time since the call before demands:
// once round within an eighth of the Timeout, and at all if the call before is
// as long ago. So calls every few seconds are short even with millions of
// peers, and a silent peer is gone after 1.25 times the Timeout at the latest.
// (Not 1.125: a removal may move a peer from before the broom to behind it.)
func (s *Swarms) Expire(now time.Duration) int {
	elapsed := now - s.sweep.last
	if elapsed <= 0 {
		return 0
	}
	s.sweep.last = now
	if period := s.cfg.Timeout / sweepsPerTimeout; elapsed < period {
		s.sweep.all = max(s.sweep.all, s.numPeers()+s.torrents.num) // joined since
		return s.visit(now, 1+int(float64(s.sweep.all)*float64(elapsed)/float64(period)))
	}
	s.beginRound()
	return s.visit(now, s.sweep.all)
}

// visit looks at so many peers and torrents and returns how many peers it
// removed.
func (s *Swarms) visit(now time.Duration, visits int) int {
	before := s.numPeers()
	for visits > 0 && s.torrents.num > 0 {
		visits -= s.sweepSome(now, visits)
	}
	return before - s.numPeers()
}

// beginRound takes the broom to the last torrent. The speed of the whole round
// is set here: if it followed the count of peers, it would slow down as they
// expire and never end.
func (s *Swarms) beginRound() {
	s.sweep.all = s.numPeers() + s.torrents.num
	s.beginTorrent(s.torrents.num - 1)
}

// sweepSome goes on in the torrent under the broom, and past it when that is
// done. It returns how much was looked at: the torrent counts as one.
func (s *Swarms) sweepSome(now time.Duration, visits int) int {
	sw := &s.sweep
	t := s.torrents.at(sw.torrent)
	timeout := seconds(s.cfg.Timeout)
	done := s.v4.sweep(sw.torrent, &sw.rest4, seconds(now), timeout, visits)
	done += s.v6.sweep(sw.torrent, &sw.rest6, seconds(now), timeout, visits-done)
	if sw.rest4 > 0 || sw.rest6 > 0 {
		return done
	}
	if t.isEmpty() && s.isForgettable(t, now) {
		s.removeTorrent(sw.torrent)
	}
	if sw.torrent == 0 {
		s.beginRound()
	} else {
		s.beginTorrent(sw.torrent - 1)
	}
	return done + 1
}

func (s *Swarms) beginTorrent(i int) {
	s.sweep.torrent, s.sweep.rest4, s.sweep.rest6 = 0, 0, 0
	if i >= 0 {
		t := s.torrents.at(i)
		s.sweep.torrent, s.sweep.rest4, s.sweep.rest6 = i, int(t.v4.num), int(t.v6.num)
	}
}

func (s *Swarms) isForgettable(t *torrent, now time.Duration) bool {
	keep := time.Duration(0)
	if t.downloaded > 0 {
		keep = keepEmpty
	}
	return seconds(now)-t.emptySince >= seconds(keep)
}

// sweep removes the peers of a torrent that fell silent, of those below rest,
// and returns how many it looked at.
func (f *family[A]) sweep(torrent int, rest *int, now, timeout uint32, visits int) (done int) {
	l := f.listOf(uint32(torrent))
	*rest = min(*rest, int(l.num))
	for ; *rest > 0 && done < visits; done++ {
		*rest--
		if now-f.peers(l).members[*rest].seen > timeout {
			f.remove(uint32(torrent), *rest)
		}
	}
	return done
}
