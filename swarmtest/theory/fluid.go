package theory

// Fluid is the model of Qiu and Srikant, "Modeling and performance analysis of
// BitTorrent-like peer-to-peer networks" (2004). All are rates, in one unit of
// time; links are in files per unit of time.
type Fluid struct {
	Lambda float64 // arrivals of leechers
	Theta  float64 // at which a leecher gives up
	C      float64 // a downlink
	Mu     float64 // an uplink
	Eta    float64 // the part of a leecher's uplink that finds use, 0 to 1
	Gamma  float64 // at which a seed leaves
}

// Completions is the rate at which leechers complete: their downlinks bound it,
// and what all uplinks give.
func (f Fluid) Completions(leechers, seeds float64) float64 {
	return min(f.C*leechers, f.Mu*(f.Eta*leechers+seeds))
}

// Steady returns the steady state: leechers and seeds that are there, and the
// mean time a leecher stays, until it completes or gives up. It is
//
//	1/beta = max{ 1/c, (1/mu - 1/gamma)/eta }
//	x = lambda / (beta (1 + theta/beta)),  y = lambda / (gamma (1 + theta/beta)),  T = 1/(theta + beta)
func (f Fluid) Steady() (leechers, seeds, stay float64) {
	beta := 1 / max(1/f.C, (1/f.Mu-1/f.Gamma)/f.Eta)
	completing := 1 / (1 + f.Theta/beta) // the part that does not give up
	return f.Lambda / beta * completing, f.Lambda / f.Gamma * completing, 1 / (f.Theta + beta)
}
