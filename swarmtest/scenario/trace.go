package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// traceColumns are those that a trace may have; the first it must have.
var traceColumns = []string{"join", "class", "content", "stay"}

// readTrace reads the file that Demand.Trace names, below dir.
func (s *Scenario) readTrace(dir fs.FS, d *decoder) error {
	data, err := openTrace(dir, s.Demand.Trace)
	if err != nil {
		d.failf("demand.trace", "%v", err)
		return nil
	}
	sum := sha256.Sum256(data)
	switch hash := hex.EncodeToString(sum[:]); {
	case s.Demand.TraceSHA256 == "":
		s.Demand.TraceSHA256 = hash
	case !strings.EqualFold(s.Demand.TraceSHA256, hash):
		d.failf("demand.trace_sha256", "the trace has another one, %s: it was changed", hash)
		return nil
	}
	s.Trace, err = parseTrace(s.Demand.Trace, data, s)
	return err
}

// openTrace returns what a trace holds. A scenario of a stranger must not make
// us read elsewhere: fs.FS knows neither ".." nor absolute names.
func openTrace(dir fs.FS, name string) ([]byte, error) {
	if dir == nil {
		return nil, errors.New("a scenario that is not a file cannot have a trace")
	}
	info, err := fs.Stat(dir, name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name) // a pipe could keep us waiting for ever
	}
	if err != nil {
		return nil, fmt.Errorf("%w; name a file in the folder of the scenario or below", err)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTraceLen+1))
	if err == nil && len(data) > maxTraceLen {
		err = fmt.Errorf("%s is longer than %d MiB", name, maxTraceLen>>20)
	}
	return data, err
}

// parseTrace reads the rows of a trace.
func parseTrace(name string, data []byte, s *Scenario) ([]Arrival, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comment, r.TrimLeadingSpace, r.ReuseRecord = '#', true, true
	fail := func(format string, args ...any) error {
		line, _ := r.FieldPos(0)
		return &Error{name, line, fmt.Sprintf(format, args...)}
	}
	header, err := r.Read()
	if err != nil {
		return nil, &Error{name, 1, "its first line names the columns: " + strings.Join(traceColumns, ",")}
	}
	columns := slices.Clone(header)
	if err := checkColumns(columns); err != nil {
		return nil, fail("%v", err)
	}
	var arrivals []Arrival
	for {
		row, err := r.Read()
		var syntax *csv.ParseError
		switch {
		case err == io.EOF && len(arrivals) > 0:
			return arrivals, nil
		case err == io.EOF:
			return nil, &Error{name, 0, "nobody arrives: it has no rows"}
		case errors.As(err, &syntax):
			return nil, &Error{name, syntax.Line, syntax.Err.Error()}
		case len(arrivals) == maxPeers:
			return nil, fail("it has more than %d rows", maxPeers)
		}
		arrival, err := s.parseRow(columns, row)
		if err != nil {
			return nil, fail("%v", err)
		}
		arrivals = append(arrivals, arrival)
	}
}

func checkColumns(columns []string) error {
	for i, c := range columns {
		switch {
		case !slices.Contains(traceColumns, c):
			return fmt.Errorf("there is no column %.40q; there are %s", c, strings.Join(traceColumns, ", "))
		case slices.Contains(columns[:i], c):
			return fmt.Errorf("the column %q is there twice", c)
		}
	}
	if !slices.Contains(columns, "join") {
		return errors.New(`the column "join" is missing`)
	}
	return nil
}

func (s *Scenario) parseRow(columns, row []string) (a Arrival, err error) {
	a = Arrival{Class: -1, Stay: Forever}
	if len(s.Classes) == 1 {
		a.Class = 0
	}
	for i, c := range columns {
		v := row[i]
		switch c {
		case "join":
			a.Join, err = parseSeconds(v)
		case "stay":
			if v != "" {
				a.Stay, err = parseSeconds(v)
			}
		case "class":
			a.Class = slices.IndexFunc(s.Classes, func(c Class) bool { return c.Name == v })
			if a.Class < 0 {
				err = fmt.Errorf("there is no class %.40q", v)
			}
		case "content":
			a.Content, err = strconv.Atoi(v)
			if err != nil || a.Content < 0 || a.Content >= s.Content.Count {
				err = fmt.Errorf("content %.40q is not a number from 0 to %d", v, s.Content.Count-1)
			}
		}
		if err != nil {
			return a, err
		}
	}
	if a.Class < 0 {
		return a, errors.New(`which class? there are several, so the trace needs the column "class"`)
	}
	return a, nil
}

// parseSeconds reads a time in seconds.
func parseSeconds(v string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || !(seconds >= 0 && seconds <= maxSeconds) {
		return 0, fmt.Errorf("%.40q is not a time in seconds, from 0 to %d years", v, maxYears)
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), nil
}
