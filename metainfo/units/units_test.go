package units_test

import (
	"testing"

	"github.com/shoal-bt/shoal/metainfo/units"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "16KiB": 16 << 10, "10MB": 10_000_000, "10 MB": 10_000_000,
		"1.5GiB": 3 << 29, "1kB": 1000, "1KB": 1000, "2TiB": 2 << 40, ".5KiB": 512,
	} {
		if n, err := units.ParseSize(text); err != nil || n != want {
			t.Errorf("size %q = %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1Mb", "1kib", "1 2", "1..5", "1e3", "NaN", "99999999TiB", "2MiB/s", "8Mbit"} {
		if n, err := units.ParseSize(text); err == nil {
			t.Errorf("size %q = %d, want an error", text, n)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]int64{
		"2MiB/s": 2 << 20, "2MiB": 2 << 20, "6000kbit/s": 750_000, "8Mbit/s": 1_000_000, "8bit/s": 1,
		"100": 100, "100/s": 100, "0": 0, "1Gbit": 125_000_000,
	} {
		if n, err := units.ParseRate(text); err != nil || n != want {
			t.Errorf("rate %q = %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "fast", "-2MiB/s", "1MiB/h", "1kbps", "0.1B/s", "1bit/s"} {
		if n, err := units.ParseRate(text); err == nil {
			t.Errorf("rate %q = %d, want an error", text, n)
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "1", 1000: "1000", 16 << 10: "16KiB", 3 << 29: "1536MiB", 1 << 40: "1TiB"} {
		if got := units.FormatSize(n); got != want {
			t.Errorf("size %d is written %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{1: "1/s", 750_000: "6000kbit/s", 125: "1kbit/s", 128_000: "125KiB/s", 2 << 20: "2MiB/s"} {
		if got := units.FormatRate(n); got != want {
			t.Errorf("rate %d is written %q, want %q", n, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, text := range []string{"0", "1.5MiB", "6000kbit/s", "1e9", ".", "9223372036854775807", "8589934592GiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := units.ParseSize(text); err == nil {
			if again, err := units.ParseSize(units.FormatSize(n)); n < 0 || err != nil || exact(n) && again != n {
				t.Errorf("%q: %d is written %q and read as %d, %v", text, n, units.FormatSize(n), again, err)
			}
		}
		if n, err := units.ParseRate(text); err == nil {
			if again, err := units.ParseRate(units.FormatRate(n)); n < 0 || err != nil || exact(n) && again != n {
				t.Errorf("%q: %d/s is written %q and read as %d, %v", text, n, units.FormatRate(n), again, err)
			}
		}
	})
}

// exact reports whether a float64 has n.
func exact(n int64) bool { return n <= 1<<53 }
