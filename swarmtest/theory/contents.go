package theory

import "math"

// Demanded is a content and those who want it: Len is its length, and Peers are all who download it. They
// upload nothing else.
type Demanded struct {
	Len   float64
	Peers []Peer
}

// Swarms returns the least time in which several contents can reach all who want them, if the peers
// of each pass it on and one publisher, with the uplink originUp, has them all. 0 is
// unlimited. It is the bound of Kumar and Ross for contents that share an uplink.
//
// In a time T the L_c peers of a content c must receive L_c F_c bytes. Each of those came out of the publisher, or
// out of one of these peers, which send at most T U_c together; and the publisher must send each byte
// once at least. So it sends max{ F_c, L_c F_c - T U_c } or more of c, of all contents together no more
// than its uplink carries, and T is at least the one with
//
//	sum_c max{ F_c, L_c F_c - T U_c } = u_s T
//
// and at least F_c/d_min of each content. It is no less than the bound of Kumar and Ross of each content
// alone, than all contents once through the uplink, and than all copies through all uplinks; for one content it is that of
// Swarm.
func Swarms(originUp float64, contents []Demanded) (least float64) {
	sharers := make([]sharer, 0, len(contents))
	for _, c := range contents {
		if len(c.Peers) == 0 {
			continue
		}
		least = max(least, slowest(c.Len, c.Peers))
		sharers = append(sharers, sharerOf(c))
	}
	if originUp == 0 {
		return least
	}
	return max(least, sharedUplink(originUp, sharers))
}

// sharer is a content that shares the publisher's uplink.
type sharer struct {
	fileLen, copies, up float64
}

func sharerOf(c Demanded) sharer {
	s := sharer{fileLen: c.Len, copies: float64(len(c.Peers)) * c.Len}
	for _, p := range c.Peers {
		s.up += p.Up
	}
	return s
}

// sharedUplink solves the equation of Swarms by Newton's method. What is missing at a time falls and is convex, and
// consists of straight lines: from the left, each step ends on the line of the solution or before
// another one, so there are no more steps than contents, and one.
func sharedUplink(originUp float64, sharers []sharer) (at float64) {
	for range len(sharers) + 1 {
		bytes, up := 0.0, originUp // of the line at this time: bytes - up T
		for _, s := range sharers {
			if s.copies-at*s.up > s.fileLen && !math.IsInf(s.up, 0) {
				bytes += s.copies
				up += s.up
			} else {
				bytes += s.fileLen
			}
		}
		next := bytes / up
		if next <= at {
			break
		}
		at = next
	}
	return at
}
