package chart

import "math"

// Chart is curves, areas and marks over two axes.
type Chart struct {
	// ID is unique in a document; letters, digits and hyphens.
	ID string
	// Title names the chart, Desc says in words what there is to see.
	Title, Desc string
	X, Y        Axis
	// Tall makes the chart higher, for one that stands beside text.
	Tall   bool
	Areas  []Area // stacked, the first at the bottom; with the same X
	Curves []Curve
	Marks  []Mark
}

// Curve is a line through points in the order of X.
type Curve struct {
	Name string
	// Style chooses colour and dashes.
	Style int
	X, Y  []float64
	// Low and High, if not nil, are an interval around each point.
	Low, High []float64
	// Steps keeps each value until the next point, as distribution functions do.
	Steps bool
	// Dots marks each point, and draws its interval as a bar instead of a
	// band.
	Dots bool
}

// Area is a band of a stack. Y is its own height, not that of the stack.
type Area struct {
	Name  string
	Style int
	X, Y  []float64
}

// Mark is a vertical line with a word to it.
type Mark struct {
	X     float64
	Label string
	Style int
}

// Rows is a box or a bar for each of some names.
type Rows struct {
	ID, Title, Desc string
	X               Axis
	Rows            []Row
	// Reference draws a line at this value, if it is not 0.
	Reference float64
}

// Row is one row. A bar goes from 0 to Value; a box, if IsBox, from Q1 to Q3 with a line
// at Value and whiskers from Low to High.
type Row struct {
	Name, Note               string
	Style                    int
	Value, Low, Q1, Q3, High float64
	IsBox                    bool
}

// Axis is one of a chart's axes.
type Axis struct {
	Label string
	Unit  Unit
	Scale Scale
	// Min and Max are its ends; if both are 0, the data's are taken.
	Min, Max float64
	// Ticks, if not nil, are those to choose from, in ascending order.
	Ticks []Tick
}

// Unit is what an axis counts in.
type Unit int

// The units. Percent shows parts from 0 to 1; Seconds and Bytes are shown in the
// larger units that fit.
const (
	Plain Unit = iota
	Seconds
	Bytes
	Percent
)

// Scale is how an axis spaces its values.
type Scale int

// The scales. LogFromZero is log(1+x): it has a place for 0.
const (
	Linear Scale = iota
	Log
	LogFromZero
)

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// transform makes equal distances of what the scale spaces equally.
func (s Scale) transform(v float64) float64 {
	switch s {
	case Log:
		return math.Log10(max(v, math.SmallestNonzeroFloat64))
	case LogFromZero:
		return math.Log10(1 + max(v, 0))
	}
	return v
}

// project maps a value of the axis, whose ends are known, to 0 to 1.
func (a Axis) project(v float64) float64 {
	from, to := a.Scale.transform(a.Min), a.Scale.transform(a.Max)
	if to == from {
		return 0
	}
	return (a.Scale.transform(v) - from) / (to - from)
}

// resolved returns the chart with areas stacked, and both axes with their
// ends.
func (c *Chart) resolved() *Chart {
	r := *c
	r.Areas = stacked(c.Areas)
	var xs, ys extent
	for _, area := range r.Areas {
		xs.add(area.X)
		ys.add(area.Y)
	}
	for _, curve := range c.Curves {
		xs.add(curve.X)
		ys.add(curve.Y)
		ys.add(curve.Low)
		ys.add(curve.High)
	}
	for _, mark := range c.Marks {
		xs.add([]float64{mark.X})
	}
	r.X = c.X.resolved(xs, false)
	r.Y = c.Y.resolved(ys, true)
	return &r
}

// stacked adds to each area those below it.
func stacked(areas []Area) []Area {
	sums := make([]Area, len(areas))
	for i, area := range areas {
		sums[i] = area
		sums[i].Y = make([]float64, len(area.Y))
		for j, y := range area.Y {
			if !finite(y) {
				y = 0
			}
			if i > 0 && j < len(sums[i-1].Y) {
				y += sums[i-1].Y[j]
			}
			sums[i].Y[j] = y
		}
	}
	return sums
}

// extent is the least and greatest of some numbers, and the least above 0.
type extent struct {
	any                bool
	min, max, positive float64
}

func (e *extent) add(values []float64) {
	for _, v := range values {
		if !finite(v) {
			continue
		}
		if !e.any {
			e.any, e.min, e.max = true, v, v
		}
		e.min, e.max = min(e.min, v), max(e.max, v)
		if v > 0 && (e.positive == 0 || v < e.positive) {
			e.positive = v
		}
	}
}

// resolved returns the axis with ends: its own, or those of the data. A linear axis and one from zero begin at 0;
// round moves the upper end to a tick.
func (a Axis) resolved(data extent, round bool) Axis {
	if a.Min != 0 || a.Max != 0 {
		return a
	}
	a.Min, a.Max = min(data.min, 0), data.max
	if a.Scale == Log {
		a.Min = data.positive
		if a.Min == 0 {
			a.Min = 1
		}
		a.Max = max(a.Max, a.Min*10)
	}
	if a.Max <= a.Min {
		a.Max = a.Min + 1
	}
	if round && a.Scale == Linear {
		step := a.step()
		a.Max = math.Ceil(a.Max/step-1e-9) * step
		a.Min = math.Floor(a.Min/step+1e-9) * step
	}
	return a
}
