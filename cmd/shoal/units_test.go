package main

import (
	"testing"
	"time"
)

func TestUnitsSurviveTheirOwnSpelling(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 16 << 10, 10_000_000, 3 << 29, 1 << 40} {
		var s sizeFlag
		text := (*sizeFlag)(&n).String()
		if err := s.Set(text); err != nil || int64(s) != n {
			t.Errorf("%d is written %q and read as %d, %v", n, text, s, err)
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
