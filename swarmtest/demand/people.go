package demand

import (
	"math"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// The draws of people lie apart from those of clients: behind drawFault come those of each fault.
const (
	drawUser draw = 1<<32 + iota
	drawResolver
)

// Users returns for each client whose download it is, counted from 1; nil if everybody comes once. Each class has
// the part of demand.users that it has of the clients, and at least one.
func Users(s *scenario.Scenario, seed uint64, clients []Client) []int {
	if s.Demand.Users == 0 {
		return nil
	}
	sizes := make([]int, len(s.Classes))
	for i := range clients {
		sizes[clients[i].Class]++
	}
	first := make([]int, len(sizes)) // user of each class
	next := 1
	for class, n := range sizes {
		sizes[class] = max(1, int(math.Round(float64(s.Demand.Users)*float64(n)/float64(len(clients)))))
		first[class] = next
		next += sizes[class]
	}
	users := make([]int, len(clients))
	for i := range clients {
		class := clients[i].Class
		d := drawer{seed, s.Classes[class].Name, clients[i].Index}
		users[i] = first[class] + d.stream(drawUser).IntN(sizes[class])
	}
	return users
}

// AsksPublicResolver says whether a client is of the given part of all that asks a public resolver for
// names. Those of a larger part are these, and more.
func AsksPublicResolver(s *scenario.Scenario, seed uint64, c *Client, part float64) bool {
	return drawer{seed, s.Classes[c.Class].Name, c.Index}.stream(drawResolver).Float64() < part
}
