// Package units reads and writes sizes and rates as people write them in
// flags and in files: "16KiB", "10MB", "2MiB/s", "6000kbit/s".
//
// A size is a number of bytes, a rate a number of bytes per second; both are
// whole. Everything is bounded by what an int64 holds, and nothing can be
// cancelled, for nothing takes time.
package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteUnits are the units of sizes, in bytes.
var byteUnits = map[string]float64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// bitUnits are the further units of rates, in bytes.
var bitUnits = map[string]float64{
	"bit": 1.0 / 8, "kbit": 1e3 / 8, "Kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8,
}

// ParseSize reads a size. A number without a unit is bytes.
func ParseSize(text string) (numBytes int64, err error) {
	n, unit, err := splitNumber(text)
	if err != nil {
		return 0, fmt.Errorf("%w; write a size like 16KiB or 10MB", err)
	}
	perUnit, ok := byteUnits[unit]
	if !ok {
		return 0, fmt.Errorf("unit %q is not known; write a size like 16KiB or 10MB", unit)
	}
	return wholeBytes(n * perUnit)
}

// ParseRate reads a rate. The "/s" may be left out.
func ParseRate(text string) (bytesPerSecond int64, err error) {
	n, unit, err := splitNumber(text)
	if err != nil {
		return 0, fmt.Errorf("%w; write a rate like 2MiB/s or 6000kbit/s", err)
	}
	unit = strings.TrimSuffix(unit, "/s")
	perUnit, ok := byteUnits[unit]
	if !ok {
		perUnit, ok = bitUnits[unit]
	}
	if !ok {
		return 0, fmt.Errorf("unit %q is not known; write a rate like 2MiB/s or 6000kbit/s", unit)
	}
	bytesPerSecond, err = wholeBytes(n * perUnit)
	if err == nil && bytesPerSecond == 0 && n != 0 {
		return 0, errors.New("less than one byte per second; 0 means no limit")
	}
	return bytesPerSecond, err
}

// splitNumber cuts "1.5MiB" into 1.5 and "MiB"; a space between is allowed.
func splitNumber(text string) (n float64, unit string, err error) {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	n, err = strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, "", errors.New("it does not begin with a number")
	}
	return n, strings.TrimSpace(text[end:]), nil
}

// wholeBytes rounds to bytes; it fails past what an int64 holds.
func wholeBytes(n float64) (int64, error) {
	if n >= math.MaxInt64 {
		return 0, errors.New("it is too large")
	}
	return int64(math.Round(n)), nil
}

// FormatSize writes a size as ParseSize reads it, in the largest binary unit that
// loses nothing: "100MiB", "1000".
func FormatSize(numBytes int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if perUnit := int64(byteUnits[unit]); numBytes != 0 && numBytes%perUnit == 0 {
			return strconv.FormatInt(numBytes/perUnit, 10) + unit
		}
	}
	return strconv.FormatInt(numBytes, 10)
}

// FormatRate writes a rate as ParseRate reads it, in a unit that loses nothing:
// "2MiB/s", "6000kbit/s".
func FormatRate(bytesPerSecond int64) string {
	const kbit = 1000 / 8
	if bytesPerSecond%1024 != 0 && bytesPerSecond%kbit == 0 {
		return strconv.FormatInt(bytesPerSecond/kbit, 10) + "kbit/s"
	}
	return FormatSize(bytesPerSecond) + "/s"
}
