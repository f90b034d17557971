package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo/units"
)

// sizeFlag is a number of bytes that is written with a unit: a pflag.Value.
type sizeFlag int64

func (s *sizeFlag) Type() string   { return "SIZE" }
func (s *sizeFlag) String() string { return units.FormatSize(int64(*s)) }

func (s *sizeFlag) Set(text string) error {
	numBytes, err := units.ParseSize(text)
	*s = sizeFlag(numBytes)
	return err
}

// rateFlag is a number of bytes per second that is written with a unit: a
// pflag.Value. 0 means no limit.
type rateFlag int64

func (r *rateFlag) Type() string { return "RATE" }

func (r *rateFlag) String() string {
	if *r == 0 {
		return ""
	}
	return units.FormatRate(int64(*r))
}

func (r *rateFlag) Set(text string) error {
	bytesPerSecond, err := units.ParseRate(text)
	*r = rateFlag(bytesPerSecond)
	return err
}

// formatSize writes a number of bytes for people: "64.0 MiB".
func formatSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	x, i := float64(n)/(1<<10), 0
	// 1023.95 and more would be printed as 1024.0.
	for ; x >= 1023.95 && i < len(units)-1; i++ {
		x /= 1 << 10
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}

// formatRate writes bytes per second for people: "2.0 MiB/s".
func formatRate(bytesPerSecond int64) string { return formatSize(bytesPerSecond) + "/s" }

// formatDuration writes a duration for people, with no more digits than they
// read: "1.3s", "4m10s", "3h25m".
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// count writes a number with its noun: "1 piece", "3 pieces".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
