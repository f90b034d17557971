package quota

import "time"

// slotTurn is how long a slot that cannot be divided evenly stays with one
// torrent: the time of an optimistic unchoke, three rounds of 10 s (BEP 3).
const slotTurn = 30 * time.Second

// Slots says how many of the want upload slots the torrent may fill from now
// on. The slots of the process are divided as evenly as the torrents' wants
// allow; what does not divide goes round. A torrent keeps what it got until it asks
// again, so one that wants none any more must say so.
func (s *Share) Slots(now time.Duration, want int) int {
	s.slotsWanted = max(want, 0)
	if s.quota.slots <= 0 {
		return s.slotsWanted
	}
	s.slotsHeld = 0
	held := 0
	for _, other := range s.quota.shares {
		held += other.slotsHeld
	}
	s.slotsHeld = max(0, min(s.quota.dueSlots(now, s), s.quota.slots-held))
	return s.slotsHeld
}

// dueSlots is the even part of one torrent, whatever the others hold.
func (q *Quota) dueSlots(now time.Duration, s *Share) int {
	level := q.slotLevel()
	if s.slotsWanted <= level {
		return s.slotsWanted
	}
	over, used, mine := 0, 0, 0
	for _, other := range q.shares {
		used += min(other.slotsWanted, level)
		if other == s {
			mine = over
		}
		if other.slotsWanted > level {
			over++
		}
	}
	first := int(now/slotTurn) % over
	if place := (mine - first + over) % over; place < q.slots-used {
		return level + 1
	}
	return level
}

// slotLevel is the greatest number that every torrent can have, or its want
// if that is less.
func (q *Quota) slotLevel() int {
	low, high := 0, q.slots
	for low < high {
		level := (low + high + 1) / 2
		sum := 0
		for _, s := range q.shares {
			sum += min(s.slotsWanted, level)
		}
		if sum <= q.slots {
			low = level
		} else {
			high = level - 1
		}
	}
	return low
}
