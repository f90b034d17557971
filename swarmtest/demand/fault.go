package demand

import "github.com/shoal-bt/shoal/swarmtest/scenario"

// Struck returns the positions of the clients that a fault of a scenario strikes. One more fault
// or one more client changes nothing for the others.
func Struck(s *scenario.Scenario, seed uint64, fault int, clients []Client) (struck []int) {
	f := &s.Faults[fault]
	for i := range clients {
		c := &clients[i]
		cfg := &s.Classes[c.Class]
		d := drawer{seed, cfg.Name, c.Index}
		if f.Class != "" && f.Class != cfg.Name || !isAt(s, f, c.Place) {
			continue
		}
		if f.Part == 1 || d.stream(drawFault+draw(fault)).Float64() < f.Part {
			struck = append(struck, i)
		}
	}
	return struck
}

// StrikesOrigin reports whether a fault strikes the seeds of the origin. They are not drawn: a part of all
// peers leaves them out.
func StrikesOrigin(s *scenario.Scenario, fault int) bool {
	f := &s.Faults[fault]
	if f.Class == scenario.OfOrigin {
		return isAt(s, f, Origin(s))
	}
	return f.Class == "" && f.Part == 1 && isAt(s, f, Origin(s))
}

// isAt reports whether a place is where a fault strikes.
func isAt(s *scenario.Scenario, f *scenario.Fault, p Place) bool {
	return (f.Region == "" || s.Region(f.Region) == p.Region) && (f.ISP == "" || s.ISP(f.ISP) == p.ISP)
}
