package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// wellFormed fails the test if text is no XML.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %.200s", err, text)
		}
	}
}

// Of each column the extremes, the first and the last point are those of the whole
// curve: then the lines cover the same pixels.
func TestThinningKeepsWhatShows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var points []point
	for x := 0.0; x < 300; x += rng.Float64() * 0.1 {
		points = append(points, point{x, 100 * rng.Float64()})
	}
	points = append(points, point{300, 50}, point{310, 7}) // a gap of columns, and lone points
	thinned := thin(points, 1)
	if got, want := columns(thinned), columns(points); !reflect.DeepEqual(got, want) {
		t.Error("a column of the thinned curve differs")
	}
	if len(thinned) > 4*302 || len(points) < 5000 {
		t.Errorf("%d of %d points are left", len(thinned), len(points))
	}
	few := []point{{0, 1}, {0.1, 1}, {0.2, 1}}
	if got := thin(few, 1); len(got) != 2 {
		t.Errorf("a level line has %d points", len(got))
	}
}

// column is what shows of a column of pixels.
type column struct{ first, last, low, high float64 }

func columns(points []point) map[int]column {
	all := map[int]column{}
	for _, p := range points {
		x := int(p.x)
		c, ok := all[x]
		if !ok {
			c = column{p.y, p.y, p.y, p.y}
		}
		c.last, c.low, c.high = p.y, min(c.low, p.y), max(c.high, p.y)
		all[x] = c
	}
	return all
}

func TestSteps(t *testing.T) {
	got := steps([]point{{0, 0}, {2, 1}, {3, 4}})
	want := []point{{0, 0}, {2, 0}, {2, 1}, {3, 1}, {3, 4}}
	if !reflect.DeepEqual(got, want) || steps(nil) != nil {
		t.Errorf("steps: %v, want %v", got, want)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name         string
		axis         Axis
		ticks, label string
	}{
		{"seconds", Axis{Label: "time", Unit: Seconds, Max: 95}, "0 20 40 60 80", "time (s)"},
		{"minutes", Axis{Label: "time", Unit: Seconds, Max: 3600}, "0 10 20 30 40 50 60", "time (min)"},
		{"hours", Axis{Label: "time", Unit: Seconds, Max: 86400}, "0 6 12 18 24", "time (h)"},
		{"milliseconds", Axis{Label: "time", Unit: Seconds, Max: 0.25}, "0 50 100 150 200 250", "time (ms)"},
		{"parts", Axis{Label: "use", Unit: Percent, Max: 1}, "0 % 20 % 40 % 60 % 80 % 100 %", "use"},
		{"bytes", Axis{Label: "sent", Unit: Bytes, Max: 5 << 30}, "0 1 2 3 4 5", "sent (GiB)"},
		{"small", Axis{Label: "x", Max: 0.002}, "0 0.0005 0.001 0.0015 0.002", "x"},
		{"thousands", Axis{Label: "peers", Max: 10_000}, "0 2,000 4,000 6,000 8,000 10,000", "peers"},
		{"below 0", Axis{Label: "x", Min: -10, Max: 10}, "−10 −5 0 5 10", "x"},
		{"decades", Axis{Scale: Log, Min: 1, Max: 1e6}, "1 10 100 1,000 10,000 100,000 1,000,000", ""},
		{"logarithmic time", Axis{Unit: Seconds, Scale: Log, Min: 8, Max: 4000}, "10 s 30 s 1 min 3 min 10 min 30 min 1 h", ""},
		{"from zero", Axis{Scale: LogFromZero, Max: 150}, "0 1 3 10 30 100", ""},
		{"own", Axis{Scale: Log, Min: 1, Max: 9, Ticks: []Tick{{1, "one"}, {9, "nine"}, {11, "out"}}}, "one nine", ""},
	} {
		var labels []string
		for _, tick := range c.axis.ticks() {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.ticks || c.axis.label() != c.label {
			t.Errorf("%s: %q %q, want %q %q", c.name, got, c.axis.label(), c.ticks, c.label)
		}
	}
}

func TestFormatNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 1: "1", 1.5: "1.5", 0.25: "0.25", 0.0217: "0.0217", 99.994: "99.99", 123.4: "123",
		-2.5: "−2.5", 1234567: "1,234,567", 1e-6: "1e-06", 3e15: "3e+15", math.Inf(1): "–",
	} {
		if got := FormatNumber(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain":               "plain",
		"a\x00b\x1b[31m\nc":   "ab[31mc",
		"a\u202egnp.exe":      "agnp.exe", // turns the direction of what follows
		"bad\xffbytes\ufffe!": "bad\uFFFDbytes!",
		"0123456789abc":       "0123456789ab…",
	} {
		if got := Clean(text, 12); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// hostile is a chart in which nothing is as it should be.
func hostile() *Chart {
	nan, inf := math.NaN(), math.Inf(1)
	evil := "</title><script>alert(1)</script>&\x00\ufffe"
	return &Chart{
		ID: "evil", Title: evil, Desc: evil, X: Axis{Label: evil, Scale: Log}, Y: Axis{Label: evil},
		Areas: []Area{{Name: evil, Style: 99, X: []float64{0, 1, nan}, Y: []float64{nan, inf, 3, 4}}},
		Curves: []Curve{
			{Name: evil, Style: 7, X: []float64{nan, -1, 0, 5}, Y: []float64{1, 2, inf, -7}, Steps: true},
			{Name: "none"},
			{Name: "band", X: []float64{1, 2}, Y: []float64{1, 2}, Low: []float64{nan, 1}, High: []float64{2, inf}},
			{Name: "dots", X: []float64{1}, Y: []float64{1}, Low: []float64{nan}, High: []float64{nan}, Dots: true},
		},
		Marks: []Mark{{X: nan, Label: evil}, {X: 2, Label: evil}},
	}
}

func TestHostileChartIsDrawn(t *testing.T) {
	nan := math.NaN()
	evil := "<b>&\x01"
	rows := &Rows{ID: "rows", Title: evil, Desc: evil, X: Axis{Label: evil}, Rows: []Row{
		{Name: evil, Note: evil, Value: nan}, {Name: "box", IsBox: true, Low: nan, Q1: math.Inf(-1), Value: 1, Q3: 2, High: nan},
	}}
	for _, text := range []string{hostile().SVG(), (&Chart{ID: "empty"}).SVG(), rows.SVG(), (&Rows{ID: "none"}).SVG()} {
		wellFormed(t, text)
		for _, bad := range []string{"<script", "<b>", "NaN", "Inf"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q is in %.300s", bad, text)
			}
		}
	}
	if _, _, err := Images([]Panel{hostile(), rows, &Chart{}, &Rows{}}); err != nil {
		t.Error(err)
	}
}

func TestImagesAreTheSameAgain(t *testing.T) {
	c := &Chart{
		ID: "c", Title: "a chart", X: Axis{Label: "time", Unit: Seconds}, Y: Axis{Label: "use", Unit: Percent, Max: 1},
		Curves: []Curve{{Name: "a", X: []float64{0, 1, 2}, Y: []float64{0, 1, 0.5}, Low: []float64{0, 0.8, 0.4}, High: []float64{0, 1, 0.6}}},
		Marks:  []Mark{{X: 1, Label: "here"}},
	}
	svg, image, err := Images([]Panel{c, c})
	if err != nil {
		t.Fatal(err)
	}
	svgAgain, imageAgain, _ := Images([]Panel{c, c})
	if !bytes.Equal(svg, svgAgain) || !bytes.Equal(image, imageAgain) {
		t.Error("the same chart gave other files")
	}
	wellFormed(t, string(svg))
	decoded, err := png.Decode(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	if size := decoded.Bounds().Size(); size.X < 1000 || size.Y < 300 {
		t.Errorf("the image has %v pixels", size)
	}
	drawn := c.SVG()
	wellFormed(t, drawn)
	if drawn != c.SVG() {
		t.Error("the same chart gave another SVG")
	}
}
