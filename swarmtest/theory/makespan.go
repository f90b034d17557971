package theory

import "math/bits"

// Makespan returns the least time, in units of what one uplink needs for the
// whole file, in which a file of numParts equal parts reaches numUsers users
// with uplinks like the server's and unlimited downlinks, by Mundinger, Weber
// and Weiss, "Optimal scheduling of peer-to-peer file dissemination" (2008):
//
//	(M + floor(log2 N)) / M
//
// The server has to send M parts, and the last of them still has to spread: the
// number of its holders doubles at most with each part-time. Both numbers are at least 1.
func Makespan(numParts, numUsers int) float64 {
	return float64(numParts+bits.Len(uint(numUsers))-1) / float64(numParts)
}
