// Package chart draws the charts of reports twice: as SVG that stands in HTML
// and takes its colours from there, and by Gonum's plot as image files.
//
// A Chart has Curves, stacked Areas and Marks over two axes; a Rows has a box or a bar for each of some names.
// Both draw the same at each call: no clock, no randomness, no order of a map. Numbers that are not finite are left
// out. Text is escaped, cleaned of control characters and cut to maxText characters. A path has at most four points
// for each column of pixels, chosen so that it covers the same pixels as the whole curve.
package chart
