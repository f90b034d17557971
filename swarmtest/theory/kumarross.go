package theory

import "math"

// Peer is one receiver's access link, in the unit of the file length a second.
// A Down of 0 is unlimited.
type Peer struct {
	Up, Down float64
}

// Swarm returns the least time in which a file of fileLen can reach every peer
// when the peers pass it on, by Kumar and Ross, "Peer-Assisted File Distribution:
// The Minimum Distribution Time" (2006):
//
//	max{ F/d_min, F/u_s, L F/(u_s + sum u_i) }
//
// The slowest receiver must take the file in, the origin must send it out
// once, and all copies must go through all uplinks. originUp is the uplink of the origin,
// or the sum of those of several; 0 is unlimited. All are present from the
// beginning, and stay until the last has finished.
func Swarm(fileLen, originUp float64, peers []Peer) float64 {
	if len(peers) == 0 {
		return 0
	}
	bound := slowest(fileLen, peers)
	if originUp == 0 {
		return bound
	}
	allUp := originUp
	for _, p := range peers {
		allUp += p.Up
	}
	return max(bound, fileLen/originUp, float64(len(peers))*fileLen/allUp)
}

// ClientServer returns the least time when the origin alone sends:
//
//	max{ F/d_min, L F/u_s }
func ClientServer(fileLen, originUp float64, peers []Peer) float64 {
	if len(peers) == 0 {
		return 0
	}
	bound := slowest(fileLen, peers)
	if originUp == 0 {
		return bound
	}
	return max(bound, float64(len(peers))*fileLen/originUp)
}

// slowest is the time that the peer with the slowest downlink needs.
func slowest(fileLen float64, peers []Peer) float64 {
	down := math.Inf(1)
	for _, p := range peers {
		if p.Down > 0 {
			down = min(down, p.Down)
		}
	}
	return fileLen / down
}
