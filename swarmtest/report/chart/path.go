package chart

import "math"

// point is a place in an image, in its units.
type point struct{ x, y float64 }

// thin leaves out the points of a line that do not show: of each column of pixels the
// first, the last, the lowest and the highest stay, and the line through these covers the same pixels as the line through all (M4: Jugel
// et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014).
func thin(points []point, columnsPerUnit float64) []point {
	return thinBy(points, func(p point) int { return int(math.Floor(p.x * columnsPerUnit)) })
}

// thinBy is thin for columns that a function tells.
func thinBy(points []point, column func(point) int) []point {
	var kept []point
	for i := 0; i < len(points); {
		end := i + 1
		for end < len(points) && column(points[end]) == column(points[i]) {
			end++
		}
		kept = append(kept, extremes(points[i:end])...)
		i = end
	}
	return kept
}

// extremes returns the first, lowest, highest and last of some points, in
// their order, none twice.
func extremes(points []point) []point {
	lowest, highest := 0, 0
	for i, p := range points {
		if p.y < points[lowest].y {
			lowest = i
		}
		if p.y > points[highest].y {
			highest = i
		}
	}
	kept := []point{points[0]}
	before := 0
	for _, i := range []int{min(lowest, highest), max(lowest, highest), len(points) - 1} {
		if i > before {
			kept = append(kept, points[i])
			before = i
		}
	}
	return kept
}

// steps puts the corners of a step function between its points.
func steps(points []point) []point {
	if len(points) == 0 {
		return nil
	}
	corners := make([]point, 0, 2*len(points))
	for i, p := range points {
		if i > 0 {
			corners = append(corners, point{p.x, points[i-1].y})
		}
		corners = append(corners, p)
	}
	return corners
}
