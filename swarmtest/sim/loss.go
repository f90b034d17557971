package sim

import (
	"math"
	"time"
)

// segmentLen is how many bytes of data a segment of TCP has in packets of 1500 bytes.
const segmentLen = 1460

// lossRate is what TCP sends at most, in bytes/s, where a part of the packets is lost, by the equation of
// Padhye, Firoiu, Towsley and Kurose ("Modeling TCP Throughput", 1998) as RFC 5348, section 3.1 has it:
//
//	X = s / (R*sqrt(2*b*p/3) + (t_RTO * (3*sqrt(3*b*p/8)*p*(1+32*p^2))))
//
// "setting t_RTO = 4*R" and "b = 1". It is 0, for no limit, if nothing is lost.
func lossRate(loss float64, latency time.Duration) float64 {
	roundTrip := 2 * latency.Seconds()
	if loss <= 0 || roundTrip == 0 {
		return 0
	}
	perSegment := roundTrip*math.Sqrt(2*loss/3) + 4*roundTrip*3*math.Sqrt(3*loss/8)*loss*(1+32*loss*loss)
	return segmentLen / perSegment
}

// lossGap is the least time from a block to the next.
func (p *pacing) lossGap(numBytes int64) time.Duration {
	if p.lossRate == 0 {
		return 0
	}
	return time.Duration(float64(numBytes) / p.lossRate * float64(time.Second))
}

// loss is the part of packets that is lost between two peers: by the links of both, and by what is between them.
func (w *swarm) loss(a, b *Peer) float64 {
	return 1 - (1-w.cfg.Loss)*(1-a.Loss)*(1-b.Loss)
}

// validLoss says whether a loss is a part that lets anything through.
func validLoss(loss float64) bool { return loss >= 0 && loss < 1 }
