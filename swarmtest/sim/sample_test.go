package sim

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// sampled runs s with samples, which it returns.
func sampled(t *testing.T, s Swarm, every time.Duration) (*Result, []Sample) {
	t.Helper()
	var samples []Sample
	s.SampleEvery, s.OnSample = every, func(sample *Sample) { samples = append(samples, *sample) }
	return mustComplete(t, s), samples
}

func TestSamplesAddUp(t *testing.T) {
	s := crowd(t, 20, 4*MiB)
	r, samples := sampled(t, s, 5*time.Second)
	if want := int(r.End/(5*time.Second)) + 1; len(samples) != want {
		t.Fatalf("%d samples in %v, want %d", len(samples), r.End, want)
	}
	for i, sample := range samples[:len(samples)-1] {
		if at := time.Duration(i+1) * 5 * time.Second; sample.At != at {
			t.Errorf("sample %d at %v, want %v", i, sample.At, at)
		}
		if sample.At > 10*time.Second && sample.Seeds+sample.Leechers+sample.Gone != len(s.Peers) {
			t.Errorf("%+v: some of %d peers are missing", sample, len(s.Peers))
		}
		if sample.UplinkUse < 0 || sample.UplinkUse > 1 || sample.Entropy > 1 || sample.MinCopies < 1 || sample.MeanCopies < float64(sample.MinCopies) {
			t.Errorf("%+v", sample)
		}
	}
	var fromSeeds, down int64
	for _, p := range r.Peers {
		fromSeeds += p.FromSeeds
		down += p.Down
	}
	last := samples[len(samples)-1]
	if last.At != r.End || last.Completed != 20 || last.BytesFromSeeds != fromSeeds || last.BytesFromPeers != down-fromSeeds {
		t.Errorf("the last sample %+v; want 20 completed, %d bytes from seeds, %d from others", last, fromSeeds, down-fromSeeds)
	}
	if sent := r.Peers[0].Up; fromSeeds < sent*99/100 || fromSeeds > sent {
		t.Errorf("%d bytes from seeds, which sent %d", fromSeeds, sent)
	}
}

func TestSamplesChangeNothing(t *testing.T) {
	s := crowd(t, 20, 2*MiB)
	alone := mustComplete(t, s)
	if r, _ := sampled(t, s, 333*time.Millisecond); r.Hash != alone.Hash {
		t.Error("another transcript with samples")
	}
}

func TestEntropyCountsPairs(t *testing.T) {
	holding := func(pieces ...int) *peer {
		p := &peer{has: bitfield.New(8)}
		for _, piece := range pieces {
			p.has.Add(piece)
		}
		return p
	}
	for _, c := range []struct {
		leechers []*peer
		want     float64
	}{
		{[]*peer{holding(1)}, -1},
		{[]*peer{holding(1), holding(2)}, 1},
		{[]*peer{holding(1), holding(1, 2)}, 0.5},
		{[]*peer{holding(), holding(), holding(3)}, 1. / 3},
	} {
		if got := entropy(c.leechers); got != c.want {
			t.Errorf("entropy %v, want %v", got, c.want)
		}
	}
}

func TestARunCanBeInterrupted(t *testing.T) {
	s := crowd(t, 100, 8*MiB)
	calls := 0
	s.Progress = func(now time.Duration, done, total int) {
		if calls++; total != 100 || done < 0 || done >= 100 || now <= 0 {
			t.Errorf("progress at %v: %d of %d", now, done, total)
		}
	}
	s.OnSample = func(sample *Sample) { t.Errorf("a sample at %v, though nobody waits for it", sample.At) }
	s.Interrupted = func() bool { return calls == 2 }
	if r := run(t, s); r.Completed || r.Reason != Interrupted || calls != 2 {
		t.Errorf("the run ended because %q after %d reports", r.Reason, calls)
	}
}

// TestInterruptedBeforeItBegins: while peers are set up, and in the window in which all of them join, there is no
// report yet.
func TestInterruptedBeforeItBegins(t *testing.T) {
	s := crowd(t, 3000, MiB)
	s.Progress = func(now time.Duration, _, _ int) { t.Errorf("a report at %v", now) }
	for after := range 14 { // twelve times while they are set up
		asked := 0
		s.Interrupted = func() bool { asked++; return asked > after }
		r, err := s.Run()
		if err != nil || r.Reason != Interrupted || asked != after+1 {
			t.Errorf("asked %d times, ended because %q, %v", asked, r.Reason, err)
		}
		if early := after < 12; early != (len(r.Peers) == 0) {
			t.Errorf("interrupted after %d questions, there are %d peers", after, len(r.Peers))
		}
	}
}
