package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// byteUnits are the units in which people write sizes, in bytes.
var byteUnits = map[string]float64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// bitUnits are the further units in which people write rates, in bytes.
var bitUnits = map[string]float64{
	"bit": 1.0 / 8, "kbit": 1e3 / 8, "Kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8,
}

// sizeFlag is a number of bytes that is written with a unit: a pflag.Value.
type sizeFlag int64

func (s *sizeFlag) Type() string   { return "SIZE" }
func (s *sizeFlag) String() string { return formatUnit(int64(*s)) }

func (s *sizeFlag) Set(text string) error {
	n, unit, err := splitNumber(text)
	if err != nil {
		return fmt.Errorf("%w; write a size like 16KiB or 10MB", err)
	}
	perUnit, ok := byteUnits[unit]
	if !ok {
		return fmt.Errorf("unit %q is not known; write a size like 16KiB or 10MB", unit)
	}
	bytes, err := wholeBytes(n * perUnit)
	*s = sizeFlag(bytes)
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
	return formatUnit(int64(*r)) + "/s"
}

func (r *rateFlag) Set(text string) error {
	n, unit, err := splitNumber(text)
	if err != nil {
		return fmt.Errorf("%w; write a rate like 2MiB/s or 6000kbit/s", err)
	}
	unit = strings.TrimSuffix(unit, "/s")
	perUnit, ok := byteUnits[unit]
	if !ok {
		perUnit, ok = bitUnits[unit]
	}
	if !ok {
		return fmt.Errorf("unit %q is not known; write a rate like 2MiB/s or 6000kbit/s", unit)
	}
	bytes, err := wholeBytes(n * perUnit)
	if err == nil && bytes == 0 && n != 0 {
		return fmt.Errorf("less than one byte per second; 0 means no limit")
	}
	*r = rateFlag(bytes)
	return err
}

// splitNumber cuts "1.5MiB" into 1.5 and "MiB"; a space between is allowed.
func splitNumber(text string) (n float64, unit string, err error) {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	n, err = strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, "", fmt.Errorf("it does not begin with a number")
	}
	return n, strings.TrimSpace(text[end:]), nil
}

// wholeBytes rounds to bytes; it fails past what an int64 holds.
func wholeBytes(n float64) (int64, error) {
	if n >= math.MaxInt64 {
		return 0, fmt.Errorf("it is too large")
	}
	return int64(math.Round(n)), nil
}

// formatUnit writes n as sizeFlag reads it, in the largest binary unit that
// loses nothing.
func formatUnit(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if perUnit := int64(byteUnits[unit]); n != 0 && n%perUnit == 0 {
			return strconv.FormatInt(n/perUnit, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
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
