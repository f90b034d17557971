package report

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
)

// missing stands where a number is not known.
const missing = "–"

// duration in words: two units at most.
func (n Number) time() string {
	v := float64(n)
	switch {
	case !n.Known():
		return missing
	case v < 0:
		return "−" + Number(-v).time()
	case v == 0:
		return "0 s"
	case v < 0.9995:
		return chart.FormatNumber(v*1000) + " ms"
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + " s"
	case v < 2*3600:
		return twoUnits(v, 60, "min", 1, "s")
	case v < 2*86400:
		return twoUnits(v, 3600, "h", 60, "min")
	}
	return twoUnits(v, 86400, "d", 3600, "h")
}

// twoUnits writes seconds in a large unit and the rest in a small one.
func twoUnits(v, large float64, largeName string, small float64, smallName string) string {
	numSmall := math.Round(v / small)
	perLarge := large / small
	whole := math.Floor(numSmall / perLarge)
	text := chart.FormatNumber(whole) + " " + largeName
	if rest := numSmall - whole*perLarge; rest > 0 {
		text += " " + strconv.FormatFloat(rest, 'f', 0, 64) + " " + smallName
	}
	return text
}

// formatBytes writes a length in binary units.
func formatBytes(n int64) string {
	v, unit := float64(n), "bytes"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if math.Abs(v) < 1024 {
			break
		}
		v, unit = v/1024, larger
	}
	return chart.FormatNumber(v) + " " + unit
}

// plain writes a number with three digits that say something.
func (n Number) plain() string {
	if !n.Known() {
		return missing
	}
	return chart.FormatNumber(float64(n))
}

// fixed writes a number with so many decimals.
func (n Number) fixed(decimals int) string {
	if !n.Known() {
		return missing
	}
	if math.Abs(float64(n)) >= 1000 {
		return n.plain()
	}
	return strings.Replace(strconv.FormatFloat(float64(n), 'f', decimals, 64), "-", "−", 1)
}

// percent writes a part as a percentage. What is not all is not called 100 %.
func (n Number) percent() string {
	if !n.Known() {
		return missing
	}
	v := float64(n) * 100
	switch {
	case v < 100 && v > 99.9:
		return "> 99.9 %"
	case v > 0 && v < 0.1:
		return "< 0.1 %"
	}
	return n.points()
}

// points writes a part, or a difference of parts, as a percentage.
func (n Number) points() string {
	if !n.Known() {
		return missing
	}
	return (n * 100).fixed(1) + " %"
}

// spread writes a time that stands beside a longer one: not in milliseconds.
func (n Number) spread() string {
	switch v := math.Abs(float64(n)); {
	case v == 0 || v >= 0.9995 || !n.Known():
		return n.time()
	default:
		return chart.FormatNumber(math.Copysign(roundTo2(v), float64(n))) + " s"
	}
}

// roundTo2 rounds to two digits.
func roundTo2(v float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 1, 64), 64) // what was written just now
	return rounded
}

// money writes an amount; currency comes from the scenario.
func (n Number) money(currency string) string {
	if !n.Known() {
		return missing
	}
	text := n.plain()
	if v := math.Abs(float64(n)); v >= 1 && v < 100_000 {
		text = strconv.FormatFloat(float64(n), 'f', 2, 64)
	}
	if currency = chart.Clean(currency, 8); currency != "" {
		text += " " + currency
	}
	return text
}

// numberUnit is a number before its unit.
var numberUnit = regexp.MustCompile(`(\d) ((?:s|ms|min|h|d|bytes|[KMGTP]iB|times|copies|copy)\b|%)`)

// unbroken keeps numbers and their units on one line.
func unbroken(text string) string { return numberUnit.ReplaceAllString(text, "$1\u00a0$2") }

// count writes a number of things.
func count(n int) string { return chart.FormatNumber(float64(n)) }

// plural is "1 peer" or "2 peers".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%s %ss", count(n), thing)
}
