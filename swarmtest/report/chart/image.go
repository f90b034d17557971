package chart

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The size of one chart in an image file, and the density of its pixels.
const (
	imageWidth  = 5.2 * vg.Inch
	imageHeight = 3.3 * vg.Inch
	imageRow    = 0.55 * vg.Inch // of Rows
	imageDPI    = 144
	// imageColumns is how many columns of pixels a curve is thinned for.
	imageColumns = 1200
)

// colors are those of the styles on white paper, near those of Okabe and Ito
// that people with any colour vision tell apart.
var colors = [NumStyles]color.NRGBA{
	{0x00, 0x63, 0xa6, 0xff}, {0xcf, 0x52, 0x00, 0xff}, {0x00, 0x8a, 0x66, 0xff},
	{0xb4, 0x57, 0x8f, 0xff}, {0xc9, 0x8a, 0x00, 0xff}, {0x3f, 0xa0, 0xd8, 0xff},
}

// imageDashes are the dashes of lines, by style.
var imageDashes = [NumStyles][]vg.Length{nil, {5, 2.5}, {1.5, 2}, {6, 2, 1.5, 2}, {9, 2.5}, {3, 1.5, 1, 1.5, 1, 1.5}}

// Panel is a chart that can be part of an image file.
type Panel interface {
	plot() (*plot.Plot, error)
	height() vg.Length
}

// Images returns panels side by side, at most three in a row, as an SVG and as a
// PNG file.
func Images(panels []Panel) (svgFile, pngFile []byte, err error) {
	columns := min(len(panels), 3)
	if len(panels) == 4 {
		columns = 2
	}
	rows := (len(panels) + columns - 1) / columns
	width := vg.Length(columns) * imageWidth
	height := vg.Length(0)
	plots := make([][]*plot.Plot, rows)
	for i := range plots {
		plots[i] = make([]*plot.Plot, columns)
	}
	for i, panel := range panels {
		p, err := panel.plot()
		if err != nil {
			return nil, nil, err
		}
		plots[i/columns][i%columns] = p
		height = max(height, panel.height())
	}
	height *= vg.Length(rows)

	vector := vgsvg.New(width, height)
	drawAll(plots, draw.New(vector))
	raster := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(imageDPI))
	drawAll(plots, draw.New(raster))
	var svgBuffer, pngBuffer bytes.Buffer
	if _, err := vector.WriteTo(&svgBuffer); err != nil {
		return nil, nil, err
	}
	if _, err := (vgimg.PngCanvas{Canvas: raster}).WriteTo(&pngBuffer); err != nil {
		return nil, nil, err
	}
	return svgBuffer.Bytes(), pngBuffer.Bytes(), nil
}

func drawAll(plots [][]*plot.Plot, canvas draw.Canvas) {
	tiles := draw.Tiles{
		Rows: len(plots), Cols: len(plots[0]),
		PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 14, PadX: 16, PadY: 12,
	}
	key := vg.Length(0)
	for _, row := range plots {
		for _, p := range row {
			if p != nil {
				size := p.Legend.Rectangle(canvas).Size()
				key = max(key, size.Y)
			}
		}
	}
	for i, row := range plot.Align(plots, tiles, canvas) {
		for j, tile := range row {
			if plots[i][j] != nil {
				drawAbove(*plots[i][j], tile, key)
			}
		}
	}
}

// drawAbove draws a plot with its legend below it, in a strip of a height: within the plot
// it would cover curves.
func drawAbove(p plot.Plot, tile draw.Canvas, key vg.Length) {
	legend := p.Legend
	p.Legend = plot.NewLegend()
	legend.Left, legend.Top = true, true
	const gap = 6
	p.Draw(draw.Crop(tile, 0, 0, key+gap, 0))
	legend.Draw(draw.Crop(tile, 40, 0, 0, key-tile.Size().Y))
}

// newPlot is an empty plot in the style of all images.
func newPlot(title string, x, y Axis) *plot.Plot {
	p := plot.New()
	p.Title.Text = Clean(title, maxText)
	p.Title.Padding = 6
	setAxis(&p.X, x)
	setAxis(&p.Y, y)
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font = font.From(font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans"}, 9)
	}
	p.Title.TextStyle.Font.Size = 10.5
	p.Legend.Padding = 2
	p.Legend.ThumbnailWidth = 24
	return p
}

// scaler is an axis as a plot.Normalizer.
type scaler struct{ axis Axis }

// Normalize maps a value to 0 to 1.
func (s scaler) Normalize(_, _, v float64) float64 { return s.axis.project(v) }

func setAxis(to *plot.Axis, axis Axis) {
	to.Label.Text = Clean(axis.label(), maxText)
	to.Min, to.Max = axis.Min, axis.Max
	to.Scale = scaler{axis}
	var ticks []plot.Tick
	for _, t := range axis.ticks() {
		ticks = append(ticks, plot.Tick{Value: t.Value, Label: t.Label})
	}
	to.Tick.Marker = plot.ConstantTicks(ticks)
}

// keyHeight is about what the legend needs.
func (c *Chart) keyHeight() vg.Length {
	return vg.Length(len(c.Areas)+len(c.Curves)+len(c.Marks)) * 12
}

func (c *Chart) height() vg.Length {
	if c.Tall {
		return imageHeight*tallHeight/svgHeight + c.keyHeight()
	}
	return imageHeight + c.keyHeight()
}

// plot returns the chart for an image file.
func (c *Chart) plot() (*plot.Plot, error) {
	r := c.resolved()
	p := newPlot(r.Title, r.X, r.Y)
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{0xe2}
	p.Add(grid)
	for i := len(r.Areas) - 1; i >= 0; i-- {
		if err := r.addArea(p, r.Areas[i]); err != nil {
			return nil, err
		}
	}
	for _, curve := range r.Curves {
		if err := r.addCurve(p, curve); err != nil {
			return nil, err
		}
	}
	for _, mark := range r.Marks {
		if err := r.addMark(p, mark); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// xys returns the points that a line needs.
func (c *Chart) xys(xs, ys []float64, stepwise bool) plotter.XYs {
	var points []point
	for i := range min(len(xs), len(ys)) {
		if finite(xs[i]) && finite(ys[i]) && xs[i] <= c.X.Max {
			points = append(points, point{xs[i], ys[i]})
		}
	}
	if stepwise {
		points = steps(points)
	}
	points = thinBy(points, func(p point) int { return int(c.X.project(p.x) * imageColumns) })
	out := make(plotter.XYs, len(points))
	for i, p := range points {
		out[i].X, out[i].Y = p.x, p.y
	}
	return out
}

func (c *Chart) addArea(p *plot.Plot, area Area) error {
	outline := c.xys(area.X, area.Y, false)
	if len(outline) == 0 {
		return nil
	}
	outline = append(outline, plotter.XY{X: outline[len(outline)-1].X, Y: c.Y.Min}, plotter.XY{X: outline[0].X, Y: c.Y.Min})
	polygon, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	polygon.Color = colors[area.Style%NumStyles]
	polygon.LineStyle = draw.LineStyle{Color: color.White, Width: 0.6}
	p.Add(polygon)
	p.Legend.Add(Clean(area.Name, maxText), polygon)
	return nil
}

func (c *Chart) addCurve(p *plot.Plot, curve Curve) error {
	points := c.xys(curve.X, curve.Y, curve.Steps)
	if len(points) == 0 {
		return nil
	}
	if err := c.addInterval(p, curve); err != nil {
		return err
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = lineStyle(curve.Style)
	p.Add(line)
	if curve.Dots {
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: colors[curve.Style%NumStyles], Radius: 2.4, Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
	p.Legend.Add(Clean(curve.Name, maxText), line)
	return nil
}

func lineStyle(style int) draw.LineStyle {
	style %= NumStyles
	return draw.LineStyle{Color: colors[style], Width: 1.4, Dashes: imageDashes[style]}
}

// addInterval draws the band or the bars of a curve.
func (c *Chart) addInterval(p *plot.Plot, curve Curve) error {
	low, high := c.xys(curve.X, curve.Low, curve.Steps), c.xys(curve.X, curve.High, curve.Steps)
	if len(low) == 0 || len(high) == 0 {
		return nil
	}
	shade := colors[curve.Style%NumStyles]
	if curve.Dots {
		for i := range min(len(low), len(high)) {
			bar, err := plotter.NewLine(plotter.XYs{low[i], high[i]})
			if err != nil {
				return err
			}
			bar.LineStyle = draw.LineStyle{Color: shade, Width: 1}
			p.Add(bar)
		}
		return nil
	}
	outline := high
	for i := len(low) - 1; i >= 0; i-- {
		outline = append(outline, low[i])
	}
	band, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	shade.A = 0x33
	band.Color, band.LineStyle.Width = shade, 0
	p.Add(band)
	return nil
}

func (c *Chart) addMark(p *plot.Plot, mark Mark) error {
	if !finite(mark.X) {
		return nil
	}
	line, err := plotter.NewLine(plotter.XYs{{X: mark.X, Y: c.Y.Min}, {X: mark.X, Y: c.Y.Max}})
	if err != nil {
		return err
	}
	line.LineStyle = draw.LineStyle{Color: colors[mark.Style%NumStyles], Width: 0.9, Dashes: []vg.Length{1, 2}}
	p.Add(line)
	p.Legend.Add(Clean(mark.Label, maxText), line)
	return nil
}

func (r *Rows) height() vg.Length {
	return vg.Length(len(r.Rows))*imageRow + 0.9*vg.Inch
}

// plot returns the rows for an image file.
func (r *Rows) plot() (*plot.Plot, error) {
	axis := r.resolved()
	n := len(r.Rows)
	p := newPlot(r.Title, axis, Axis{Min: -0.6, Max: float64(n) - 0.4})
	var labels []plot.Tick
	for i, row := range r.Rows {
		y := float64(n - 1 - i)
		labels = append(labels, plot.Tick{Value: y, Label: Clean(row.Name, 24) + "\n" + Clean(row.Note, 24)})
		if err := addRow(p, axis, row, y); err != nil {
			return nil, err
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(labels)
	p.Y.Tick.Length = 0
	if r.Reference != 0 {
		line, err := plotter.NewLine(plotter.XYs{{X: r.Reference, Y: -0.6}, {X: r.Reference, Y: float64(n) - 0.4}})
		if err != nil {
			return nil, err
		}
		line.LineStyle = draw.LineStyle{Color: color.Black, Width: 0.9, Dashes: []vg.Length{1, 2}}
		p.Add(line)
	}
	return p, nil
}

// addRow draws the bar or the box of a row, at y.
func addRow(p *plot.Plot, axis Axis, row Row, y float64) error {
	if !row.IsBox {
		return addBox(p, row.Style, max(axis.Min, 0), row.Value, y, 0xff)
	}
	for _, whisker := range [][2]float64{{row.Low, row.Q1}, {row.Q3, row.High}} {
		if err := addLine(p, lineStyle(row.Style).Color, plotter.XYs{{X: whisker[0], Y: y}, {X: whisker[1], Y: y}}); err != nil {
			return err
		}
	}
	if err := addBox(p, row.Style, row.Q1, row.Q3, y, 0x60); err != nil {
		return err
	}
	return addLine(p, color.Black, plotter.XYs{{X: row.Value, Y: y - 0.25}, {X: row.Value, Y: y + 0.25}})
}

func addLine(p *plot.Plot, ink color.Color, points plotter.XYs) error {
	for _, point := range points {
		if !finite(point.X) {
			return nil
		}
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = draw.LineStyle{Color: ink, Width: 1.4}
	p.Add(line)
	return nil
}

func addBox(p *plot.Plot, style int, from, to, y float64, alpha uint8) error {
	if !finite(from) || !finite(to) {
		return nil
	}
	box, err := plotter.NewPolygon(plotter.XYs{{X: from, Y: y - 0.22}, {X: to, Y: y - 0.22}, {X: to, Y: y + 0.22}, {X: from, Y: y + 0.22}})
	if err != nil {
		return err
	}
	ink := colors[style%NumStyles]
	box.LineStyle = draw.LineStyle{Color: ink, Width: 0.8}
	ink.A = alpha
	box.Color = ink
	p.Add(box)
	return nil
}
