package chart

import (
	"math"
	"strconv"
	"strings"
)

// numTicks is about how many ticks a linear axis has.
const numTicks = 5

// Tick is a place on an axis with its label.
type Tick struct {
	Value float64
	Label string
}

// unitName is a unit of an axis, in the axis's own.
type unitName struct {
	size float64
	name string
}

var timeUnits = []unitName{{1e-3, "ms"}, {1, "s"}, {60, "min"}, {3600, "h"}, {86400, "days"}}

var byteUnits = []unitName{{1, "bytes"}, {1 << 10, "KiB"}, {1 << 20, "MiB"}, {1 << 30, "GiB"}, {1 << 40, "TiB"}, {1 << 50, "PiB"}}

// unit is the largest unit of which the axis holds at least two.
func (a Axis) unit() unitName {
	chosen := unitName{1, ""}
	var units []unitName
	switch a.Unit {
	case Seconds:
		units = timeUnits
	case Bytes:
		units = byteUnits
	case Percent:
		return unitName{0.01, "%"}
	}
	for i, u := range units {
		if i == 0 || a.Max >= 2*u.size {
			chosen = u
		}
	}
	return chosen
}

// label is the axis's label with the unit that its ticks are in.
func (a Axis) label() string {
	unit := a.unit()
	if unit.name == "" || unit.name == "%" || a.Scale == Log {
		return a.Label
	}
	if a.Label == "" {
		return unit.name
	}
	return a.Label + " (" + unit.name + ")"
}

// step is the distance of ticks on a linear axis, in the axis's unit.
func (a Axis) step() float64 {
	unit := a.unit()
	span := (a.Max - a.Min) / unit.size
	return roundStep(span/numTicks, unit.name) * unit.size
}

// roundStep is the round number next to a step. Minutes, seconds and hours are
// not divided by ten.
func roundStep(step float64, unit string) float64 {
	var steps []float64
	switch unit {
	case "s", "min":
		steps = []float64{1, 2, 5, 10, 15, 20, 30, 60}
	case "h":
		steps = []float64{1, 2, 3, 6, 12, 24}
	}
	for _, s := range steps {
		if step >= 0.75 && step <= s*1.25 {
			return s
		}
	}
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, s := range []float64{1, 2, 5} {
		if step <= s*power*1.25 {
			return s * power
		}
	}
	return 10 * power
}

// ticks returns the ticks of an axis whose ends are known.
func (a Axis) ticks() []Tick {
	if a.Ticks != nil {
		return thinned(a.within(a.Ticks))
	}
	switch a.Scale {
	case Log:
		return a.logTicks()
	case LogFromZero:
		return a.fromZeroTicks()
	}
	unit, step := a.unit(), a.step()
	var ticks []Tick
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max*(1+1e-9) && len(ticks) < 4*numTicks; i++ {
		ticks = append(ticks, Tick{i * step, a.format(i * step / unit.size)})
	}
	return ticks
}

// format is the label of a value in the axis's unit.
func (a Axis) format(v float64) string {
	if a.Unit == Percent {
		return FormatNumber(v) + " %"
	}
	return FormatNumber(v)
}

// logTimes are the ticks of a logarithmic axis of time, in seconds.
var logTimes = []Tick{
	{1e-3, "1 ms"}, {1e-2, "10 ms"}, {0.1, "0.1 s"}, {1, "1 s"}, {3, "3 s"}, {10, "10 s"}, {30, "30 s"},
	{60, "1 min"}, {180, "3 min"}, {600, "10 min"}, {1800, "30 min"}, {3600, "1 h"}, {3 * 3600, "3 h"}, {10 * 3600, "10 h"},
	{86400, "1 d"}, {3 * 86400, "3 d"}, {10 * 86400, "10 d"}, {30 * 86400, "30 d"}, {100 * 86400, "100 d"}, {365 * 86400, "1 y"},
}

func (a Axis) logTicks() []Tick {
	var ticks []Tick
	if a.Unit == Seconds {
		return thinned(a.within(logTimes))
	}
	for power := math.Floor(math.Log10(a.Min)); power <= math.Log10(a.Max) && len(ticks) < 100; power++ {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, power)
			if v >= a.Min*(1-1e-9) && v <= a.Max*(1+1e-9) && (digit == 1 || a.Max/a.Min < 1000) {
				ticks = append(ticks, Tick{v, a.format(v / a.unitOfLog())})
			}
		}
	}
	return thinned(ticks)
}

// within returns the ticks that lie on the axis.
func (a Axis) within(all []Tick) (ticks []Tick) {
	for _, t := range all {
		if t.Value >= a.Min*(1-1e-9) && t.Value <= a.Max*(1+1e-9) {
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// unitOfLog is the unit of the ticks of a logarithmic axis.
func (a Axis) unitOfLog() float64 {
	if a.Unit == Percent {
		return 0.01
	}
	return 1
}

func (a Axis) fromZeroTicks() []Tick {
	ticks := []Tick{{0, a.format(0)}}
	for v := 1.0; v <= a.Max && len(ticks) < 100; v *= 10 {
		ticks = append(ticks, Tick{v, a.format(v)})
		if a.Max < 200 && 3*v <= a.Max {
			ticks = append(ticks, Tick{3 * v, a.format(3 * v)})
		}
	}
	return thinned(ticks)
}

// thinned leaves every second tick away until there is room for all.
func thinned(ticks []Tick) []Tick {
	for len(ticks) > numTicks+2 {
		var kept []Tick
		for i := 0; i < len(ticks); i += 2 {
			kept = append(kept, ticks[i])
		}
		ticks = kept
	}
	return ticks
}

// FormatNumber writes a number for people: at most four digits that say
// something, thousands set apart.
func FormatNumber(v float64) string {
	switch {
	case !finite(v):
		return "–"
	case v == 0:
		return "0" // and not -0
	case v < 0:
		return "−" + formatPositive(-v)
	}
	return formatPositive(v)
}

func formatPositive(v float64) string {
	switch {
	case v >= 1e15:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case v >= 1000:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return trimmed(strconv.FormatFloat(v, 'f', 2, 64))
	case v < 1e-4:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return trimmed(strconv.FormatFloat(v, 'f', 2-int(math.Floor(math.Log10(v))), 64))
}

// trimmed leaves zeros at the end of a fraction away.
func trimmed(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grouped puts commas between thousands.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
