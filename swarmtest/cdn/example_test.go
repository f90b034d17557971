package cdn_test

import (
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/cdn"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// A hundred clients want 10 MiB at the same time. The origin alone sends it a
// hundred times; behind a CDN of four edges and a parent, once.
func Example() {
	clients := make([]cdn.Client, 100)
	for i := range clients {
		clients[i] = cdn.Client{Down: 2 << 20, Region: i % 2}
	}
	c := cdn.Config{
		Kind:     result.Origin,
		Contents: []cdn.Content{{Len: 10 << 20}},
		Clients:  clients,
		Origins:  []cdn.Server{{Up: 10 << 20}},
		Regions:  []string{"eu", "us"},
		Between: [][]time.Duration{
			{10 * time.Millisecond, 45 * time.Millisecond},
			{45 * time.Millisecond, 10 * time.Millisecond},
		},
	}
	show(c)

	c.Kind = result.CDN
	c.Parents = []cdn.Server{{Up: 100 << 20}}
	c.Edges = []cdn.Server{{Up: 50 << 20}, {Up: 50 << 20}, {Up: 50 << 20, Region: 1}, {Up: 50 << 20, Region: 1}}
	c.Routing = cdn.Routing{ResolversPerISP: 100}
	show(c)
	// Output:
	// origin: 100.1 s, the origin sent 1000 MiB
	// cdn: 5.9 s, the origin sent 10 MiB
}

func show(c cdn.Config) {
	res, err := c.Run(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %.1f s, the origin sent %d MiB\n", res.System.Name, res.System.End.Seconds(), res.System.Servers[0].Out>>20)
}
