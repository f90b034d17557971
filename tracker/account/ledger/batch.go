package ledger

import "time"

// Delta is what a user's sessions on a torrent have added.
type Delta struct {
	User    UserID
	Torrent TorrentID // or AnyTorrent
	// Totals are the bytes that count; RawUploaded and RawDownloaded are
	// those that the client announced.
	Totals                     Totals
	RawUploaded, RawDownloaded int64
	SeedTime                   time.Duration
	// CompletedAt is when the download ended, SeededUntil the time up to
	// which SeedTime reaches; both since the Unix epoch, 0 if there was
	// nothing. Of two completions only the first ever counts.
	CompletedAt, SeededUntil time.Duration
}

func (d *Delta) merge(o *Delta) {
	d.Totals.add(o.Totals)
	d.RawUploaded = add(d.RawUploaded, o.RawUploaded)
	d.RawDownloaded = add(d.RawDownloaded, o.RawDownloaded)
	d.SeedTime = add(d.SeedTime, o.SeedTime)
}

// Batch is what is to be stored at once: all of it or nothing.
type Batch struct {
	// Seq counts the batches of a Ledger from 1.
	Seq uint64
	// At is the time, since the Unix epoch, up to which every announce is in
	// this batch or in an earlier one.
	At       time.Duration
	Deltas   []Delta
	Sessions []Session    // to be set
	Ended    []SessionKey // to be removed, after Sessions were set
	Findings []Finding    // to be merged with those not reviewed yet
	Refusals []Refusal    // each in the place of the user's last
}

// Drain returns a batch to be stored, or nil if nothing waits. It returns the
// same one until Ack says that it was stored: a batch whose fate is unknown is
// tried again as it was. What comes in the meantime goes into the next.
func (l *Ledger) Drain() *Batch {
	if l.inFlight != nil {
		return l.inFlight
	}
	b := new(Batch)
	for len(b.Deltas) < l.cfg.MaxBatch && l.queue.Len() > 0 {
		l.drainPair(b, l.queue.Front().Value.(*pairState))
	}
	b.Findings, l.findings = l.findings, nil
	clear(l.found)
	l.drainRefusals(b)
	if len(b.Deltas) == 0 && len(b.Findings) == 0 && len(b.Refusals) == 0 {
		return nil
	}
	if l.queue.Len() == 0 {
		l.drained = l.now
	}
	l.seq++
	b.Seq, b.At = l.seq, max(l.drained, l.begin-1)
	l.inFlight = b
	return b
}

// drainPair moves what a pair holds into the batch. A pair that has only
// sessions to be stored gives a Delta that adds nothing.
func (l *Ledger) drainPair(b *Batch, p *pairState) {
	p.delta.User, p.delta.Torrent = p.user, p.torrent
	b.Deltas = append(b.Deltas, p.delta)
	for _, s := range p.dirty {
		b.Sessions = append(b.Sessions, s.Session)
		s.dirty, s.mayBeStored = false, true
	}
	// A session that ended and began again under the same name is there.
	for _, key := range p.ended {
		if l.sessions[key] == nil {
			b.Ended = append(b.Ended, key)
		}
	}
	p.delta, p.dirty, p.ended = Delta{}, nil, nil
	l.queue.Remove(p.inQueue)
	p.inQueue = nil
	l.setIdle(p)
}

func (l *Ledger) drainRefusals(b *Batch) {
	n := min(len(l.refused), l.cfg.MaxBatch)
	for _, id := range l.refused[:n] {
		u := l.users[id]
		u.refusalWaits = false
		b.Refusals = append(b.Refusals, u.refusal)
	}
	l.refused = append(l.refused[:0], l.refused[n:]...)
}

// Ack says that the batch of the last Drain is stored.
func (l *Ledger) Ack() {
	if l.inFlight == nil {
		return
	}
	for _, d := range l.inFlight.Deltas {
		u := l.user(d.User)
		u.stored.add(d.Totals)
		u.unstored.Uploaded = max(u.unstored.Uploaded-d.Totals.Uploaded, 0)
		u.unstored.Downloaded = max(u.unstored.Downloaded-d.Totals.Downloaded, 0)
	}
	l.inFlight = nil
}

// touch has a session stored with the next batch.
func (l *Ledger) touch(s *session) {
	p := s.of
	if !s.dirty {
		s.dirty = true
		p.dirty = append(p.dirty, s)
	}
	l.enqueue(p)
}

func (l *Ledger) enqueue(p *pairState) {
	if p.inQueue == nil {
		p.inQueue = l.queue.PushBack(p)
	}
}

// setIdle keeps the list of deltas without a session in order, and forgets a
// pair that has neither.
func (l *Ledger) setIdle(p *pairState) {
	switch isIdle := p.numSessions == 0 && p.inQueue != nil && p.torrent != AnyTorrent; {
	case isIdle && p.inIdle == nil:
		p.inIdle = l.idle.PushBack(p)
		if l.idle.Len() > l.cfg.MaxIdle {
			l.mergeOldest()
		}
	case !isIdle && p.inIdle != nil:
		l.idle.Remove(p.inIdle)
		p.inIdle = nil
	}
	if p.numSessions == 0 && p.inQueue == nil {
		delete(l.pairs, p.pair)
	}
}

// mergeOldest gives up the torrent of the oldest delta without a session. Its
// bytes still count for the user: there are no more such deltas than users.
func (l *Ledger) mergeOldest() {
	p := l.idle.Front().Value.(*pairState)
	to := pair{p.user, AnyTorrent}
	sum := l.pairs[to]
	if sum == nil {
		sum = &pairState{pair: to}
		l.pairs[to] = sum
	}
	sum.delta.merge(&p.delta)
	l.enqueue(sum)
	l.queue.Remove(p.inQueue)
	p.inQueue = nil
	l.setIdle(p)
	l.stats.Merged++
}

// InFlight reports whether the last Drain's batch waits for its Ack.
func (l *Ledger) InFlight() bool { return l.inFlight != nil }
