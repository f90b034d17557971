package cdn

import (
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// maxSamples is when every other sample is dropped: more than a figure can
// show.
const maxSamples = 1 << 14

// sampler looks at a run now and then.
type sampler struct {
	every   time.Duration
	samples []result.Sample

	sent, sentBefore []int64 // by each uplink
	before           time.Duration
	measured         bool // some peaks
}

// sample takes a sample, and schedules the next one.
func (r *run) sample() {
	p := &r.sampler
	p.samples = append(p.samples, r.look())
	next := p.every
	if len(p.samples) == maxSamples {
		kept := p.samples[:0]
		for i := 0; i < maxSamples; i += 2 {
			kept = append(kept, p.samples[i])
		}
		p.samples = kept
		p.every *= 2 // from the next one on, which follows one that was dropped
	}
	r.at(r.now+next, evSample, none, 0)
}

// lastSample takes the sample of the end, in place of one of the same instant.
func (r *run) lastSample() {
	p := &r.sampler
	last := r.look()
	if n := len(p.samples); n > 0 && p.samples[n-1].At == last.At {
		last.UplinkUse = p.samples[n-1].UplinkUse
		p.samples = p.samples[:n-1]
	}
	p.samples = append(p.samples, last)
}

// look says how the run stands.
func (r *run) look() result.Sample {
	p := &r.sampler
	p.sent, p.sentBefore = p.sentBefore, p.sent
	clear(p.sent)
	r.net.sent(p.sent)
	s := result.Sample{
		At: r.now, Leechers: r.waiting, Completed: r.completed, Gone: len(r.clients) - r.left,
		MinCopies: -1, MeanCopies: -1, Entropy: -1,
		UplinkUse: r.uplinkUse(),
	}
	for i := range r.servers {
		if r.servers[i].down == 0 {
			s.Seeds++
		}
	}
	for _, source := range r.sources(p.sent) {
		s.Bytes = append(s.Bytes, source.Bytes)
	}
	r.notePeaks()
	p.before = r.now
	return s
}

// notePeaks notes the rates since the last sample. The time up to the end may be
// too short to speak of a rate; it counts if there is nothing else.
func (r *run) notePeaks() {
	p := &r.sampler
	elapsed := r.now - p.before
	if elapsed <= 0 || elapsed < p.every && p.measured {
		return
	}
	p.measured = true
	for i := range r.servers {
		rate := float64(p.sent[i]-p.sentBefore[i]) / elapsed.Seconds()
		r.servers[i].stats.Peak = max(r.servers[i].stats.Peak, rate)
	}
}

// uplinkUse is what the servers sent since the last sample, as a part of what
// those with a limit could have.
func (r *run) uplinkUse() float64 {
	p := &r.sampler
	elapsed := (r.now - p.before).Seconds()
	sent, could := int64(0), 0.0
	for i := range r.servers {
		if up := r.servers[i].Up; up > 0 {
			sent += p.sent[i] - p.sentBefore[i]
			could += float64(float64(up) * elapsed)
		}
	}
	if could == 0 {
		return 0
	}
	return min(1, float64(sent)/could)
}

// sources adds up what each tier sent.
func (r *run) sources(sent []int64) []result.Source {
	var all []result.Source
	for _, t := range []struct {
		name    string
		servers []int32
	}{{"origin", r.origins}, {"parents", r.parents}, {"edges", r.edges}, {"cache", r.proxies}} {
		if len(t.servers) == 0 {
			continue
		}
		source := result.Source{Name: t.name}
		for _, id := range t.servers {
			source.Bytes += sent[id]
		}
		all = append(all, source)
	}
	if r.Browser.TTL != 0 {
		all = append(all, result.Source{Name: "browser", Bytes: r.browserBytes})
	}
	return all
}
