package main

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "16KiB": 16 << 10, "10MB": 10_000_000, "10 MB": 10_000_000,
		"1.5GiB": 3 << 29, "1kB": 1000, "1KB": 1000, "2TiB": 2 << 40, ".5KiB": 512,
	} {
		var s sizeFlag
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("size %q = %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1Mb", "1kib", "1 2", "1..5", "1e3", "NaN", "99999999TiB", "2MiB/s", "8Mbit"} {
		var s sizeFlag
		if err := s.Set(text); err == nil {
			t.Errorf("size %q = %d, want an error", text, s)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]int64{
		"2MiB/s": 2 << 20, "2MiB": 2 << 20, "6000kbit/s": 750_000, "8Mbit/s": 1_000_000, "8bit/s": 1,
		"100": 100, "100/s": 100, "0": 0, "1Gbit": 125_000_000,
	} {
		var r rateFlag
		if err := r.Set(text); err != nil || int64(r) != want {
			t.Errorf("rate %q = %d, %v; want %d", text, r, err, want)
		}
	}
	for _, text := range []string{"", "fast", "-2MiB/s", "1MiB/h", "1kbps", "0.1B/s", "1bit/s"} {
		var r rateFlag
		if err := r.Set(text); err == nil {
			t.Errorf("rate %q = %d, want an error", text, r)
		}
	}
}

func TestUnitsSurviveTheirOwnSpelling(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 16 << 10, 10_000_000, 3 << 29, 1 << 40} {
		var s sizeFlag
		if err := s.Set(formatUnit(n)); err != nil || int64(s) != n {
			t.Errorf("%d is written %q and read as %d, %v", n, formatUnit(n), s, err)
		}
		var r rateFlag
		given := rateFlag(n)
		if text := given.String(); text != "" {
			if err := r.Set(text); err != nil || r != given {
				t.Errorf("rate %d is written %q and read as %d, %v", n, text, r, err)
			}
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 64 << 20: "64.0 MiB", 5 << 40: "5.0 TiB",
	} {
		if got := formatSize(n); got != want {
			t.Errorf("formatSize(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Millisecond: "1.2s", 250 * time.Second: "4m10s",
		3*time.Hour + 25*time.Minute + 4*time.Second: "3h25m", 49 * time.Hour: "49h0m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}
