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
		s.sweep.all = max(s.sweep.all, s.numPeers()+len(s.torrents)) // joined since
		return s.visit(now, 1+int(float64(s.sweep.all)*float64(elapsed)/float64(period)))
	}
	s.beginRound()
	return s.visit(now, s.sweep.all)
}

// visit looks at so many peers and torrents and returns how many peers it
// removed.
func (s *Swarms) visit(now time.Duration, visits int) int {
	before := s.numPeers()
	for visits > 0 && len(s.torrents) > 0 {
		visits -= s.sweepSome(now, visits)
	}
	return before - s.numPeers()
}

// beginRound takes the broom to the last torrent. The speed of the whole round
// is set here: if it followed the count of peers, it would slow down as they
// expire and never end.
func (s *Swarms) beginRound() {
	s.sweep.all = s.numPeers() + len(s.torrents)
	s.beginTorrent(len(s.torrents) - 1)
}

// sweepSome goes on in the torrent under the broom, and past it when that is
// done. It returns how much was looked at: the torrent counts as one.
func (s *Swarms) sweepSome(now time.Duration, visits int) int {
	sw := &s.sweep
	t := &s.torrents[sw.torrent]
	done := sweepList(s, &t.v4, &sw.rest4, now, visits)
	done += sweepList(s, &t.v6, &sw.rest6, now, visits-done)
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
		t := &s.torrents[i]
		s.sweep.torrent, s.sweep.rest4, s.sweep.rest6 = i, len(t.v4.members), len(t.v6.members)
	}
}

func (s *Swarms) isForgettable(t *torrent, now time.Duration) bool {
	keep := time.Duration(0)
	if t.downloaded > 0 {
		keep = keepEmpty
	}
	return seconds(now)-t.emptySince >= seconds(keep)
}

func sweepList[A addr4 | addr6](s *Swarms, l *list[A], rest *int, now time.Duration, visits int) (done int) {
	*rest = min(*rest, len(l.members))
	for ; *rest > 0 && done < visits; done++ {
		*rest--
		if seconds(now)-l.members[*rest].seen > seconds(s.cfg.Timeout) {
			remove(s, l, *rest)
		}
	}
	return done
}
