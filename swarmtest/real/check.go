package real

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// The bounds of a run. All of them keep an ordinary machine from being the
// bottleneck in the place of the links.
const (
	MaxPeers = 50
	MaxSeeds = 5
	MaxBytes = 1 << 30          // of all downloads together
	MaxTime  = 20 * time.Minute // that a system takes in the simulator
)

// check is something that a scenario has to be for a run with real processes.
type check struct {
	broken bool
	why    string
}

func firstBroken(checks []check) error {
	for _, c := range checks {
		if c.broken {
			return errors.New("for real: " + c.why)
		}
	}
	return nil
}

// Check fails if a scenario is too large to be run for real, or has what real processes
// cannot be made to do. The error says which value would be good.
func Check(s *scenario.Scenario) error {
	const mebibyte = 1 << 20
	numPeers := s.NumPeers()
	numBytes := int64(numPeers) * s.Content.Length // of at most 2^20 peers and 2^44 bytes: no overflow
	return firstBroken(append([]check{
		{!hasReal(s), "the scenario has neither a swarm nor an origin, and only those can be run; add a [[system]]"},
		{numPeers > MaxPeers, fmt.Sprintf("%d peers are more than %d; use --set demand.peers=%d, or make the counts of the classes smaller", numPeers, MaxPeers, MaxPeers)},
		{s.Origin.Count > MaxSeeds, fmt.Sprintf("%d seeds are more than %d; use --set origin.count=%d", s.Origin.Count, MaxSeeds, MaxSeeds)},
		{numBytes > MaxBytes, fmt.Sprintf("%d downloads of %d MiB are more than %d MiB; use --set content.length=%dMiB", numPeers,
			s.Content.Length/mebibyte, MaxBytes/mebibyte, MaxBytes/mebibyte/max(numPeers, 1))},
		{s.Content.Count > 1, "there can be one content only; use --set content.count=1"},
		{s.Engine.Picker == scenario.Random, "no Shoal asks for pieces at random; use --set engine.picker=rarest"},
		{!s.Engine.Choking, "no Shoal can be told not to choke; use --set engine.choking=true"},
		{!s.Engine.Endgame, "no Shoal can be told to have no endgame; use --set engine.endgame=true"},
		{s.Engine.UploadSlots > 0, "no Shoal can be told its upload slots; leave out engine.upload_slots"},
		{s.Network.Loss > 0, "nothing is lost on loopback; leave out network.loss"},
		{s.Origin.LeaveAfter > 0, "no Shoal can be told to leave after some copies; leave out origin.leave_after"},
		{strikesReal(s), "faults are simulated only; leave out each [[fault]], but for those of edges, parents and proxies"},
		{findsOtherwise(s), "peers find each other by a tracker only; leave out dht and tracker of each [[system]]"},
		{s.Origin.MaxRequests > 0, "the origin cannot limit its requests; leave out origin.max_requests"},
		{s.Demand.Users > 0, "everybody comes once; leave out demand.users"},
	}, checkClasses(s)...))
}

func checkClasses(s *scenario.Scenario) (checks []check) {
	for i := range s.Classes {
		c := &s.Classes[i]
		checks = append(checks,
			check{c.NAT > 0, fmt.Sprintf("there is no NAT on loopback; use --set class.%s.nat=0", c.Name)},
			check{c.Corrupt || c.Loss > 0, fmt.Sprintf("nothing is false or lost on loopback; leave out corrupt and loss of the class %q", c.Name)},
			check{c.FreeRider, fmt.Sprintf("no Shoal can be told to upload nothing; use --set class.%s.free_rider=false", c.Name)})
	}
	return checks
}

// strikesReal reports whether there is a fault of a swarm or an origin.
func strikesReal(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Faults, func(f scenario.Fault) bool {
		return f.Kind != scenario.ServerFails && f.Kind != scenario.Route || f.Kind == scenario.ServerFails && f.Tier == scenario.OriginTier
	})
}

// findsOtherwise reports whether a swarm has no tracker, or more than that and peer exchange.
func findsOtherwise(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Systems, func(sys scenario.System) bool {
		return sys.Kind == result.Swarm && (!sys.Tracker || sys.DHT)
	})
}

// canRun reports whether a system can be run for real.
func canRun(kind string) bool { return kind == result.Swarm || kind == result.Origin }

func hasReal(s *scenario.Scenario) bool {
	for i := range s.Systems {
		if canRun(s.Systems[i].Kind) {
			return true
		}
	}
	return false
}

// checkTimes refuses what took long in the simulator: for real, it takes as
// long.
func checkTimes(run *result.Run) error {
	for i := range run.Systems {
		system := &run.Systems[i]
		if canRun(system.Kind) && system.End > MaxTime {
			return fmt.Errorf("for real: %s would take %v as in the simulator, and at most %v are allowed; use smaller values for content.length or demand.peers, or faster links",
				system.Name, system.End.Round(time.Second), MaxTime)
		}
	}
	return nil
}

// patience is how long a system may take that took so long in the simulator.
// A defect has to end some time; both numbers are arbitrary.
func patience(simulated time.Duration) time.Duration { return 2*simulated + time.Minute }
