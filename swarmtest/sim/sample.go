package sim

import (
	"math"
	"time"
)

// Sample is how a swarm stood at one time. Bytes are those of blocks since the
// start of the run.
type Sample struct {
	At time.Duration
	// Seeds and Leechers are there; Seeds have everything. Completed counts
	// who ever completed in the run, Gone who left.
	Seeds, Leechers, Completed, Gone int
	// BytesFromSeeds arrived from the peers that were described as seeds,
	// BytesFromWebSeeds from web seeds, BytesFromPeers from all others.
	BytesFromSeeds, BytesFromWebSeeds, BytesFromPeers int64
	// UplinkUse is the part, from 0 to 1, of the limited uplinks of those who
	// are there that carried blocks since the sample before; -1 if there is no
	// limited uplink.
	UplinkUse float64
	// MinCopies and MeanCopies say how many of those who are there have a piece, of all contents.
	MinCopies  int
	MeanCopies float64
	// Entropy is the mean, over ordered pairs of leechers that are there, of
	// whether the second has a piece that the first lacks, as Legout et al.
	// ("Rarest First and Choke Algorithms Are Enough", 2006) count it; -1 for
	// fewer than two leechers of one content. Of many leechers it is that of maxEntropyPeers.
	Entropy float64
}

// maxEntropyPeers bounds the pairs that one Sample looks at, by leechers. Arbitrary:
// 16,256 pairs are a mean within 0.4 %, and take a millisecond.
const maxEntropyPeers = 128

// sampler makes samples of a swarm.
type sampler struct {
	swarm  *swarm
	last   time.Duration
	copies []int32 // of each piece of each content
	owners []int   // of a whole content, among those that are there
	sentBy []int64 // bytes of blocks up to the sample before, by peer
}

func newSampler(w *swarm) *sampler {
	return &sampler{
		swarm:  w,
		copies: make([]int32, len(w.hashes)*w.cfg.Geometry.NumPieces()),
		owners: make([]int, len(w.hashes)),
		sentBy: make([]int64, len(w.peers)),
	}
}

// due is when the next sample is to be taken, if there is to be one.
func (s *sampler) due() (at time.Duration, ok bool) {
	every := s.swarm.cfg.SampleEvery
	return s.last + every, every > 0 && s.swarm.cfg.OnSample != nil
}

// take returns how the swarm stands at the time now, up to which all has happened.
func (s *sampler) take(now time.Duration) *Sample {
	sample := &Sample{At: now}
	clear(s.copies)
	clear(s.owners)
	var leechers []*peer
	for _, p := range s.swarm.peers {
		sample.count(p)
		switch {
		case !p.present():
		case p.complete:
			sample.Seeds++
			for _, torrent := range p.torrents() {
				s.owners[torrent.content]++
			}
		default:
			leechers = append(leechers, p)
			first := int(p.content) * p.has.Len()
			for piece := range p.has.Members() {
				s.copies[first+piece]++
			}
		}
	}
	sample.Leechers = len(leechers)
	sample.countCopies(s.copies, s.owners)
	sample.Entropy = entropy(leechers)
	sample.UplinkUse = s.uplinkUse(now)
	s.last = now
	return sample
}

// count adds what a peer did until now, wherever it is.
func (s *Sample) count(p *peer) {
	s.BytesFromSeeds += p.fromSeeds
	s.BytesFromWebSeeds += p.fromWebSeeds
	s.BytesFromPeers += p.received - p.fromSeeds - p.fromWebSeeds
	if p.completedAt > 0 {
		s.Completed++
	}
	if p.gone {
		s.Gone++
	}
}

// countCopies takes the copies that leechers have of each piece, and who has each content; each of
// those has one copy more.
func (s *Sample) countCopies(copies []int32, owners []int) {
	numPieces := len(copies) / len(owners)
	s.MinCopies = math.MaxInt
	sum := 0
	for i, n := range copies {
		all := int(n) + owners[i/numPieces]
		s.MinCopies = min(s.MinCopies, all)
		sum += all
	}
	s.MeanCopies = float64(sum) / float64(len(copies))
}

// entropy compares the leechers, or of many some that are evenly spread among them.
func entropy(leechers []*peer) float64 {
	n := min(len(leechers), maxEntropyPeers)
	pick := func(i int) *peer { return leechers[i*len(leechers)/n] }
	interested, pairs := 0, 0
	for i := range n {
		for j := range n {
			if i == j || pick(i).content != pick(j).content {
				continue
			}
			if pairs++; pick(j).has.HasOther(pick(i).has) {
				interested++
			}
		}
	}
	if pairs == 0 {
		return -1
	}
	return float64(interested) / float64(pairs)
}

// uplinkUse compares what the uplinks carried since the sample before with what
// they could have.
func (s *sampler) uplinkUse(now time.Duration) float64 {
	var carried, capacity float64
	for i, p := range s.swarm.peers {
		sent := s.swarm.world().Traffic(p.id).BlocksUp
		if rate := p.uploadCapacity(); rate > 0 && p.present() {
			carried += float64(sent - s.sentBy[i])
			capacity += float64(rate) * (now - max(s.last, p.cfg.Join)).Seconds()
		}
		s.sentBy[i] = sent
	}
	if capacity == 0 {
		return -1
	}
	return min(carried/capacity, 1) // a block counts when it begins
}
