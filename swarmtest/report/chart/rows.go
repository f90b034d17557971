package chart

// resolved returns the axis with its ends.
func (r *Rows) resolved() Axis {
	var data extent
	for _, row := range r.Rows {
		data.add([]float64{row.Value})
		if row.IsBox {
			data.add([]float64{row.Low, row.Q1, row.Q3, row.High})
		}
	}
	if r.Reference != 0 {
		data.add([]float64{r.Reference})
	}
	return r.X.resolved(data, true)
}

// SVG returns the rows for HTML. Its classes are those of a Chart and rowname, note, bar0, box0, median.
func (r *Rows) SVG() string {
	axis := r.resolved()
	s := &svg{id: r.ID, height: float64(len(r.Rows))*rowHeight + 12 + marginBottom}
	s.open(r.Title, r.Desc)
	bottom := s.height - marginBottom
	for _, t := range axis.ticks() {
		x := rowsX(axis, t.Value)
		s.line("grid", x, 4, x, bottom)
	}
	for i, row := range r.Rows {
		s.row(axis, row, float64(i)*rowHeight)
	}
	if r.Reference != 0 {
		x := rowsX(axis, r.Reference)
		s.printf(`<path class="mark" d="M%s,4V%s"/>`, num(x), num(bottom))
	}
	s.rowsAxis(axis, bottom)
	s.printf(`</svg>`)
	return s.String()
}

// rowsLeft is the margin of rows: their names stand above and not beside them.
const rowsLeft = 12.0

func rowsX(axis Axis, v float64) float64 {
	if !finite(v) {
		return rowsLeft
	}
	return rowsLeft + min(max(axis.project(v), 0), 1)*(svgWidth-rowsLeft-marginRight-8)
}

func (s *svg) rowsAxis(axis Axis, y float64) {
	s.line("axis", rowsLeft, y, svgWidth-marginRight-8, y)
	for _, t := range axis.ticks() {
		x := rowsX(axis, t.Value)
		s.line("axis", x, y, x, y+5)
		s.text("tick", "middle", x, y+21, t.Label)
	}
	s.text("label", "end", svgWidth-marginRight-8, y+45, axis.label())
}

// row draws a row whose top is at y.
func (s *svg) row(axis Axis, row Row, y float64) {
	s.text("rowname", "start", rowsLeft, y+rowText, row.Name)
	s.text("note", "end", svgWidth-marginRight-8, y+rowText, row.Note)
	top, style := y+rowText+8, row.Style%NumStyles
	if !row.IsBox {
		s.rect("bar", style, rowsX(axis, max(axis.Min, 0)), rowsX(axis, row.Value), top, 16)
		return
	}
	middle := top + 8
	s.printf(`<path class="line line%d" d="M%s,%sH%sM%s,%sH%s"/>`, style,
		num(rowsX(axis, row.Low)), num(middle), num(rowsX(axis, row.Q1)), num(rowsX(axis, row.Q3)), num(middle), num(rowsX(axis, row.High)))
	s.rect("box", style, rowsX(axis, row.Q1), rowsX(axis, row.Q3), top, 16)
	s.line("median", rowsX(axis, row.Value), top-1, rowsX(axis, row.Value), top+17)
}

func (s *svg) rect(class string, style int, from, to, y, height float64) {
	s.printf(`<rect class="%s%d" x="%s" y="%s" width="%s" height="%s"/>`, class, style, num(from), num(y), num(max(to-from, 1)), num(height))
}
