package cdn

import (
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// A flash crowd of 10,000 clients that download 100 MiB through 20 edges: about
// three million events.
func BenchmarkFlashCrowd(b *testing.B) {
	c := Config{
		Kind: result.CDN, Contents: []Content{{100 << 20}}, Clients: crowd(10_000, Client{Down: 10 << 20}),
		Origins: []Server{{Up: 100 << 20}}, Parents: []Server{{Up: 1 << 30}}, Edges: fleet(20, Server{Up: 100 << 20}),
		Routing: Routing{Anycast: true},
	}
	for b.Loop() {
		res, err := c.Run(1)
		if err != nil || !res.System.Completed {
			b.Fatal(err, res)
		}
		b.ReportMetric(float64(res.System.Events), "events/op")
	}
}
