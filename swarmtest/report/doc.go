// Package report writes what experiments found: run.json and two tables for
// programs, figures, and report.html, one file for people.
//
// A Summary is what a run comes down to, a Document a file of JSON, a chart what both the HTML and the image files
// draw. The same run gives the same bytes: there is no date, no path and no order of a map in them.
// Names and titles come from scenario files, which strangers may have written: they are escaped, cleaned of
// control characters and cut to a length. The HTML has no scripts and a policy that lets it load nothing.
//
// Sizes are bounded: a curve has at most four points for each pixel's column, a figure maxRows rows and a table maxTableRows.
// Files are written beside their names and renamed, and a directory that holds files of these names which no
// report wrote is left alone.
package report
