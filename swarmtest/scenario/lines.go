package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// lineOf is the line of each key of a file, from 1, by its path: "title",
// "class[1].up". The TOML library checks a file and reads its values, but tells no
// positions. This scanner finds them, in the same bytes; of a file
// that the library refuses, it may find anything. It is also what bounds the nesting, before
// the library recurses.
type lineOf map[string]int

// scanner goes over a file, byte by byte.
type scanner struct {
	data  string
	at    int
	line  int
	lines lineOf
	count map[string]int // tables in each list of tables
	deep  int            // lists and inline tables around
}

// findLines returns the lines of all keys. It fails where the nesting is too deep.
func findLines(data string) (lineOf, int, error) {
	s := &scanner{data: data, line: 1, lines: lineOf{}, count: map[string]int{}}
	table := ""
	for s.skip(" \t\r\n"); s.at < len(s.data); s.skip(" \t\r\n") {
		if s.data[s.at] == '[' {
			table = s.header()
		} else {
			s.pair(table)
		}
		if s.deep > maxNesting {
			return nil, s.line, fmt.Errorf("tables and lists are nested more than %d deep", maxNesting)
		}
	}
	return s.lines, s.line, nil
}

// skip goes over the characters of set, and over comments.
func (s *scanner) skip(set string) {
	for s.at < len(s.data) {
		c := s.data[s.at]
		switch {
		case c == '#':
			for s.at < len(s.data) && s.data[s.at] != '\n' {
				s.at++
			}
			continue
		case strings.IndexByte(set, c) < 0:
			return
		}
		s.next()
	}
}

func (s *scanner) next() {
	if s.data[s.at] == '\n' {
		s.line++
	}
	s.at++
}

// header goes over [a.b] or [[a.b]] and returns the path of the table.
func (s *scanner) header() string {
	line := s.line
	list := strings.HasPrefix(s.data[s.at:], "[[")
	s.skip("[ \t")
	names := s.dotted()
	path := s.resolve(names)
	if list {
		n := s.count[path]
		s.count[path] = n + 1
		if _, known := s.lines[path]; !known {
			s.lines[path] = line
		}
		path += "[" + strconv.Itoa(n) + "]"
	}
	s.lines[path] = line
	s.skip("] \t")
	return path
}

// resolve turns the names of a header into a path: where a name is a list of
// tables, its last one is meant.
func (s *scanner) resolve(names []string) (path string) {
	for i, name := range names {
		path = join(path, name)
		if n := s.count[path]; n > 0 && i < len(names)-1 {
			path += "[" + strconv.Itoa(n-1) + "]"
		}
	}
	return path
}

func join(table, name string) string {
	if table == "" {
		return name
	}
	return table + "." + name
}

// dotted reads a key: bare or quoted names with dots between. More of them than may
// be nested are left out; they are an error anyway.
func (s *scanner) dotted() (names []string) {
	for s.at < len(s.data) {
		if len(names) > maxNesting {
			s.deep = len(names)
			return names
		}
		start := s.at
		if c := s.data[s.at]; c == '"' || c == '\'' {
			names = append(names, strings.Trim(s.str(), `"'`))
		} else {
			for s.at < len(s.data) && isBare(s.data[s.at]) {
				s.at++
			}
			names = append(names, s.data[start:s.at])
		}
		s.skip(" \t")
		if s.at >= len(s.data) || s.data[s.at] != '.' {
			return names
		}
		s.at++
		s.skip(" \t")
	}
	return names
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// pair goes over "key = value" in a table.
func (s *scanner) pair(table string) {
	start, line := s.at, s.line
	path := table
	for _, name := range s.dotted() {
		path = join(path, name)
		if _, known := s.lines[path]; !known {
			s.lines[path] = line
		}
	}
	s.skip("= \t")
	s.value(path)
	if s.at == start {
		s.next() // nothing that TOML has: the library will say so
	}
}

// value goes over a value.
func (s *scanner) value(path string) {
	if s.at >= len(s.data) || s.deep > maxNesting {
		return
	}
	switch s.data[s.at] {
	case '"', '\'':
		s.str()
	case '[':
		s.nested("]", func(i int) { s.value(path + "[" + strconv.Itoa(i) + "]") })
	case '{':
		s.nested("}", func(int) { s.pair(path) })
	default:
		for s.at < len(s.data) && strings.IndexByte(",]}#\n", s.data[s.at]) < 0 {
			s.at++
		}
	}
}

// nested goes over a list or an inline table, up to its end.
func (s *scanner) nested(end string, element func(i int)) {
	s.deep++
	s.at++
	for i := 0; s.deep <= maxNesting; i++ {
		s.skip(", \t\r\n")
		if s.at >= len(s.data) {
			break
		}
		if s.data[s.at] == end[0] {
			s.at++
			break
		}
		start := s.at
		element(i)
		if s.at == start {
			s.next()
		}
	}
	if s.deep <= maxNesting {
		s.deep--
	}
}

// str goes over a string of one of the four kinds, and returns it with its quotes.
func (s *scanner) str() string {
	start := s.at
	mark := s.data[s.at : s.at+1]
	long := strings.Repeat(mark, 3)
	if strings.HasPrefix(s.data[s.at:], long) {
		mark = long
	}
	s.at += len(mark)
	for s.at < len(s.data) && !strings.HasPrefix(s.data[s.at:], mark) {
		if len(mark) == 1 && s.data[s.at] == '\n' {
			break
		}
		if s.data[s.at] == '\\' && mark[0] == '"' && s.at+1 < len(s.data) {
			s.next()
		}
		s.next()
	}
	s.at = min(s.at+len(mark), len(s.data))
	for len(mark) == 3 && s.at < len(s.data) && s.data[s.at] == mark[0] {
		s.at++ // quotes before the closing ones belong to the string
	}
	return s.data[start:s.at]
}
