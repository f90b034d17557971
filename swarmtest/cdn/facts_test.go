package cdn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// poisson is n arrivals at the given rate.
func poisson(random *rand.Rand, n int, perSecond float64) []Client {
	clients := make([]Client, n)
	at := 0.0
	for i := range clients {
		at += random.ExpFloat64() / perSecond
		clients[i].Join = time.Duration(at * 1e9)
	}
	return clients
}

// sizes are distributions of lengths with a mean of 100,000 bytes.
var sizes = []struct {
	name     string
	contents []Content
	weights  []float64
}{
	{"all equal", []Content{{100_000}}, []float64{1}},
	{"mice and elephants", []Content{{10_000}, {910_000}}, []float64{0.9, 0.1}},
	{"exponential", exponential(200), nil},
}

// exponential is the mean length of each of n parts of the exponential
// distribution that are equally likely.
func exponential(n int) []Content {
	contents := make([]Content, n)
	integral := func(p float64) float64 { // of the quantile function, from 0
		if p == 1 {
			return 1
		}
		return p + (1-p)*math.Log(1-p)
	}
	for i := range contents {
		part := integral(float64(i+1)/float64(n)) - integral(float64(i)/float64(n))
		contents[i].Len = int64(100_000*float64(n)*part + 0.5)
	}
	return contents
}

// choose draws an index by weights, or any of n without.
func choose(random *rand.Rand, weights []float64, n int) int {
	if weights == nil {
		return random.IntN(n)
	}
	x := random.Float64()
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// sojourns is how long the downloads of each content took, of n that come to
// one uplink of 1 MB/s at a load of rho.
func sojourns(t *testing.T, seed uint64, n int, rho float64, size int) (byContent [][]float64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 99))
	c := Config{
		Kind: result.Origin, Contents: sizes[size].contents, Clients: poisson(random, n, rho*10),
		Origins: []Server{{Up: 1_000_000}}, Latency: -1,
	}
	for i := range c.Clients {
		c.Clients[i].Content = choose(random, sizes[size].weights, len(c.Contents))
	}
	res, err := c.Run(seed)
	if err != nil || !res.System.Completed {
		t.Fatal(err, res)
	}
	byContent = make([][]float64, len(c.Contents))
	for _, p := range res.System.Peers[n/10 : n] { // without the beginning
		byContent[p.Content] = append(byContent[p.Content], (p.Complete - p.Join).Seconds())
	}
	return byContent
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// within checks that the mean of independent values is what was expected, by a
// 99 % interval of Student's t for ten of them.
func within(t *testing.T, what string, values []float64, want float64) {
	t.Helper()
	m, squares := mean(values), 0.0
	for _, v := range values {
		squares += (v - m) * (v - m)
	}
	n := float64(len(values))
	half := 3.25 * math.Sqrt(squares/(n-1)/n)
	t.Logf("%s: %.4f +- %.4f, want %.4f", what, m, half, want)
	if math.Abs(m-want) > half {
		t.Errorf("%s: %.4f +- %.4f, want %.4f", what, m, half, want)
	}
	if half > want/10 {
		t.Errorf("%s: the interval, +- %.4f, says nothing", what, half)
	}
}

// Downloads that come as a Poisson process and share an uplink are an M/G/1
// queue with processor sharing: the mean time is E[S]/(1-rho), whatever the
// distribution of lengths, and a download of length x takes x/(1-rho)
// (Kleinrock, Queueing Systems II, section 4.4).
func TestProcessorSharing(t *testing.T) {
	const rho = 0.7
	for size := range sizes {
		t.Run(sizes[size].name, func(t *testing.T) {
			var all []float64
			byContent := make([][]float64, len(sizes[size].contents))
			for seed := range uint64(10) {
				took := sojourns(t, seed, 10_000, rho, size)
				all = append(all, mean(slices.Concat(took...)))
				for content := range took {
					byContent[content] = append(byContent[content], mean(took[content]))
				}
			}
			within(t, "the mean", all, 0.1/(1-rho))
			if len(byContent) == 2 {
				for content, means := range byContent {
					within(t, "of one length", means, float64(sizes[size].contents[content].Len)/1e6/(1-rho))
				}
			}
		})
	}
}

func TestLRUHitRatio(t *testing.T) {
	const numContents, numRequests = 1000, 50_000
	for _, tt := range []struct {
		alpha float64
		size  int64
	}{{0.8, 50}, {0.8, 200}, {1.1, 50}, {1.1, 200}} {
		p := theory.Zipf(numContents, tt.alpha)
		random := rand.New(rand.NewPCG(5, 5))
		c := Config{
			Kind: result.CDN, Contents: make([]Content, numContents), Clients: poisson(random, numRequests, 10),
			Origins: []Server{{}}, Edges: []Server{{Cache: Cache{Disk: tt.size * 1000}}}, Latency: -1, Routing: Routing{Anycast: true},
		}
		for i := range c.Contents {
			c.Contents[i].Len = 1000
		}
		for i := range c.Clients {
			c.Clients[i].Content = choose(random, p, numContents)
		}
		edge := tierSum(mustRun(t, c, 1), Edge)
		got, want := float64(edge.Hits)/numRequests, theory.Che(p, float64(tt.size))
		t.Logf("Zipf %v, %d of %d contents: %.4f, by Che %.4f", tt.alpha, tt.size, numContents, got, want)
		if math.Abs(got-want) > 0.02*want {
			t.Errorf("Zipf %v, %d contents: hit ratio %.4f, by Che %.4f", tt.alpha, tt.size, got, want)
		}
	}
}
