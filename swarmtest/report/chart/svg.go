package chart

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The geometry of an SVG, in its units: about CSS pixels where two charts stand side by
// side. The margins have room for text of 17 units, which a narrow screen needs.
const (
	svgWidth     = 520.0
	svgHeight    = 310.0
	tallHeight   = 420.0
	marginLeft   = 58.0
	marginRight  = 18.0
	marginTop    = 36.0
	marginBottom = 56.0

	rowHeight = 54.0
	rowText   = 20.0 // from the top of a row to the line of its text
)

// NumStyles is how many colours, dashes and hatchings there are; a style beyond
// counts again from 0.
const NumStyles = 6

// maxText bounds the characters of one text in a chart.
const maxText = 60

// dashes are the patterns of lines, by style.
var dashes = [NumStyles]string{"", "8 4", "2.5 3", "10 3.5 2 3.5", "14 4", "5 2.5 1.5 2.5 1.5 2.5"}

// hatchings are drawn over the colour of an area, in squares of 8 by 8 units.
var hatchings = [NumStyles]string{
	"",
	"M-2,2l4,-4M0,8l8,-8M6,10l4,-4",
	"M2,2h1.5M6,6h1.5",
	"M-2,6l4,4M0,0l8,8M6,-2l4,4",
	"M0,4h8",
	"M4,0v8M0,4h8",
}

// svg is an SVG that is being written.
type svg struct {
	strings.Builder
	id     string
	height float64
}

// num writes a coordinate to a tenth of a unit.
func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(strings.Replace(s, "-0.0", "0.0", 1), ".0")
}

// Clean makes text fit for XML and for people: characters that do not show or turn the
// direction of others are left out, and a long text is cut.
func Clean(text string, maxRunes int) string {
	runes := 0
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if !unicode.IsGraphic(r) || r >= 0xFFFE && r <= 0xFFFF {
			continue
		}
		if runes++; runes > maxRunes {
			return b.String() + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}

func escape(text string) string { return escapeLong(text, maxText) }

func escapeLong(text string, maxRunes int) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(Clean(text, maxRunes))) // a Builder has no errors
	return b.String()
}

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// open begins the image. Its name is in the title and the description.
func (s *svg) open(title, desc string) {
	s.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 %s %s" role="img" aria-labelledby="%s-t %s-d">`,
		num(svgWidth), num(s.height), s.id, s.id)
	s.printf(`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, s.id, escapeLong(title, 200), s.id, escapeLong(desc, 1000))
}

func (s *svg) text(class, anchor string, x, y float64, text string) {
	s.printf(`<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`, class, anchor, num(x), num(y), escape(text))
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.printf(`<path class="%s" d="M%s,%sL%s,%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

// SVG returns the chart for HTML. Its classes are chart, title, label, tick, grid, axis, mark, and by
// style line0, area0, band0 and dot0.
func (c *Chart) SVG() string {
	r := c.resolved()
	s := &svg{id: c.ID, height: svgHeight}
	if c.Tall {
		s.height = tallHeight
	}
	s.open(c.Title, c.Desc)
	s.defs(r)
	s.axes(r)
	s.printf(`<g clip-path="url(#%s-c)">`, s.id)
	for i := len(r.Areas) - 1; i >= 0; i-- { // each covers the lower part of the one above
		s.area(r, r.Areas[i])
	}
	for _, curve := range r.Curves {
		s.interval(r, curve)
	}
	s.printf(`</g><g clip-path="url(#%s-w)">`, s.id)
	for _, curve := range r.Curves {
		s.curve(r, curve)
	}
	s.printf(`</g>`)
	s.marks(r)
	s.printf(`</svg>`)
	return s.String()
}

// defs writes what the chart clips with and fills with. The wider clip has
// room for a line or a dot that lies on the frame.
func (s *svg) defs(c *Chart) {
	width, height := svgWidth-marginLeft-marginRight, s.height-marginTop-marginBottom
	s.printf(`<defs><clipPath id="%s-c"><rect x="%s" y="%s" width="%s" height="%s"/></clipPath>`,
		s.id, num(marginLeft), num(marginTop), num(width), num(height))
	beside := 1.0
	if slices.ContainsFunc(c.Curves, func(curve Curve) bool { return curve.Dots }) {
		beside = 5
	}
	s.printf(`<clipPath id="%s-w"><rect x="%s" y="%s" width="%s" height="%s"/></clipPath>`,
		s.id, num(marginLeft-beside), num(marginTop-4), num(width+2*beside), num(height+8))
	for _, area := range c.Areas {
		style := area.Style % NumStyles
		s.printf(`<pattern id="%s-h%d" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="area%d" width="8" height="8"/>`, s.id, style, style)
		if hatchings[style] != "" {
			s.printf(`<path class="hatch" d="%s"/>`, hatchings[style])
		}
		s.printf(`</pattern>`)
	}
	s.printf(`</defs>`)
}

// place maps values to the image.
func (s *svg) place(c *Chart, x, y float64) point {
	return point{
		marginLeft + c.X.project(x)*(svgWidth-marginLeft-marginRight),
		s.height - marginBottom - c.Y.project(y)*(s.height-marginTop-marginBottom),
	}
}

func (s *svg) axes(c *Chart) {
	s.text("label", "start", 0, 15, c.Y.label())
	for _, t := range c.Y.ticks() {
		p := s.place(c, c.X.Min, t.Value)
		s.line("grid", marginLeft, p.y, svgWidth-marginRight, p.y)
		s.text("tick", "end", marginLeft-8, p.y+4.5, t.Label)
	}
	s.xAxis(c.X, s.height-marginBottom)
}

// xAxis draws a horizontal axis along y.
func (s *svg) xAxis(axis Axis, y float64) {
	s.line("axis", marginLeft, y, svgWidth-marginRight, y)
	for _, t := range axis.ticks() {
		x := marginLeft + axis.project(t.Value)*(svgWidth-marginLeft-marginRight)
		s.line("axis", x, y, x, y+5)
		s.text("tick", "middle", x, y+21, t.Label)
	}
	s.text("label", "end", svgWidth-marginRight, y+45, axis.label())
}

// placed maps a line to the image, without points that are no numbers.
func (s *svg) placed(c *Chart, xs, ys []float64) (points []point) {
	for i := range min(len(xs), len(ys)) {
		if finite(xs[i]) && finite(ys[i]) {
			points = append(points, s.place(c, xs[i], ys[i]))
		}
	}
	return points
}

// path writes the line through points as path data.
func path(points []point) string {
	var b strings.Builder
	before := ""
	for i, p := range points {
		here := num(p.x) + "," + num(p.y)
		switch {
		case i == 0:
			b.WriteString("M" + here)
		case here == before:
			continue
		default:
			b.WriteString("L" + here)
		}
		before = here
	}
	return b.String()
}

// The columns into which a line is divided, by unit: finer for the steps of distributions, of
// which each column needs two points and not four.
const (
	columnsPerUnit     = 1
	stepColumnsPerUnit = 2
)

func (s *svg) area(c *Chart, area Area) {
	points := thin(s.placed(c, area.X, area.Y), columnsPerUnit)
	if len(points) == 0 {
		return
	}
	floor := s.place(c, c.X.Min, c.Y.Min).y
	outline := path(points) + fmt.Sprintf("V%sH%sZ", num(floor), num(points[0].x))
	s.printf(`<path class="edge" fill="url(#%s-h%d)" d="%s"/>`, s.id, area.Style%NumStyles, outline)
}

func (s *svg) interval(c *Chart, curve Curve) {
	if curve.Low == nil || curve.High == nil {
		return
	}
	low, high := s.placed(c, curve.X, curve.Low), s.placed(c, curve.X, curve.High)
	style := curve.Style % NumStyles
	if curve.Dots {
		for i := range min(len(low), len(high)) {
			s.line(fmt.Sprintf("bar line%d", style), low[i].x, low[i].y, high[i].x, high[i].y)
		}
		return
	}
	if curve.Steps {
		low, high = steps(low), steps(high)
	}
	outline := thin(high, columnsPerUnit)
	low = thin(low, columnsPerUnit)
	for i := len(low) - 1; i >= 0; i-- {
		outline = append(outline, low[i])
	}
	if len(outline) > 0 {
		s.printf(`<path class="band%d" d="%sZ"/>`, style, path(outline))
	}
}

func (s *svg) curve(c *Chart, curve Curve) {
	points := s.placed(c, curve.X, curve.Y)
	style := curve.Style % NumStyles
	if curve.Dots {
		for _, p := range points {
			s.printf(`<circle class="dot%d" cx="%s" cy="%s" r="3.5"/>`, style, num(p.x), num(p.y))
		}
	}
	perUnit := float64(columnsPerUnit)
	if curve.Steps {
		points, perUnit = steps(points), stepColumnsPerUnit
	}
	if len(points) > 0 {
		s.printf(`<path class="line line%d"%s d="%s"/>`, style, dashAttribute(style), path(thin(points, perUnit)))
	}
}

func dashAttribute(style int) string {
	if dashes[style] == "" {
		return ""
	}
	return ` stroke-dasharray="` + dashes[style] + `"`
}

// marks draws the marks. Their labels are in the legend: beside the line there would be curves below
// them.
func (s *svg) marks(c *Chart) {
	for _, mark := range c.Marks {
		if finite(mark.X) {
			p := s.place(c, mark.X, c.Y.Min)
			s.line(fmt.Sprintf("mark line%d", mark.Style%NumStyles), p.x, marginTop, p.x, p.y)
		}
	}
}

// MarkSwatch is the sample of a mark that a legend shows.
func MarkSwatch(style int) string {
	return fmt.Sprintf(`<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><path class="mark line%d" d="M0,6H28"/></svg>`, style%NumStyles)
}

// Swatch is the sample of a style that a legend shows: a line, or a piece of the
// areas of the chart with this ID.
func Swatch(style int, areaOf string) string {
	style %= NumStyles
	if areaOf != "" {
		return fmt.Sprintf(`<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><rect width="28" height="12" rx="2" fill="url(#%s-h%d)"/></svg>`, areaOf, style)
	}
	return fmt.Sprintf(`<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><path class="line line%d"%s d="M0,6H28"/></svg>`, style, dashAttribute(style))
}
