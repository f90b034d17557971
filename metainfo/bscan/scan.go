package bscan

import (
	"bytes"
	"errors"
	"math"
	"slices"
)

// MaxDepth is how deep lists and dictionaries may lie inside each other. A
// recursive reader of "llll..." overflows its stack, which Go cannot recover
// from. The deepest value of any BEP, the file tree of BEP 52, is as deep as
// its folders; 100 is what other clients settled on.
const MaxDepth = 100

// DefaultTokens bounds the integers, strings, keys, lists and dictionaries
// of one value. The largest torrents known have 300,000 files of about ten
// tokens each; this is five times as much.
const DefaultTokens = 16 << 20

// Limits bounds a scan. The zero Limits means MaxDepth and DefaultTokens.
type Limits struct {
	Depth  int // lists and dictionaries inside each other; more than MaxDepth means MaxDepth
	Tokens int // integers, strings, keys, lists and dictionaries
}

// The errors of Scan are fixed values, so that a flood of bad packets costs
// no memory; Report.Offset says where.
var (
	ErrTruncated = errors.New("bencode ends too early")
	ErrSyntax    = errors.New("bencode has an unexpected byte")
	ErrInteger   = errors.New("bencode integer is not canonical or does not fit 64 bits")
	ErrLength    = errors.New("bencode string is longer than what is left, or its length is not canonical")
	ErrKey       = errors.New("bencode dictionary has a key that is not a string, or a key without a value")
	ErrDepth     = errors.New("bencode is nested too deeply")
	ErrTokens    = errors.New("bencode has too many values")
)

// The further errors of Strict: what Scan only reports.
var (
	ErrUnsorted  = errors.New("bencode dictionary keys are not sorted")
	ErrDuplicate = errors.New("bencode dictionary has the same key twice")
	ErrTrailing  = errors.New("bencode value has bytes behind it")
)

// Report says what Scan saw.
type Report struct {
	Offset    int  // where the scan stopped, in bytes: the end of the value, or the error
	Tokens    int  // integers, strings, keys, lists and dictionaries
	Unsorted  bool // BEP 3: "Keys must be strings and appear in sorted order"
	Duplicate bool // some dictionary has a key more than once
	Trailing  int  // bytes behind the value
}

// Strict returns the first of ErrDuplicate, ErrUnsorted and ErrTrailing that
// applies, or nil.
func (r Report) Strict() error {
	switch {
	case r.Duplicate:
		return ErrDuplicate
	case r.Unsorted:
		return ErrUnsorted
	case r.Trailing > 0:
		return ErrTrailing
	}
	return nil
}

// Scan validates the value at the start of b and returns it. The Value
// points into b, which must not change while the Value is in use. Unsorted or
// duplicate keys and bytes behind the value are reported, not refused.
func Scan(b []byte, lim Limits) (Value, Report, error) {
	var s scanner
	err := s.run(b, lim)
	if err == nil {
		s.rep.Trailing = len(b) - s.pos
		if s.rep.Unsorted && !s.rep.Duplicate {
			s.rep.Duplicate = hasDuplicate(b[:s.pos])
		}
	}
	s.rep.Offset = s.pos
	if err != nil {
		return Value{}, s.rep, err
	}
	return Value{b[:s.pos]}, s.rep, nil
}

// Strict is Scan for bytes that must be canonical and alone: what Scan
// reports is an error.
func Strict(b []byte, lim Limits) (Value, error) {
	s := scanner{strict: true}
	if err := s.run(b, lim); err != nil {
		return Value{}, err
	}
	if s.pos != len(b) {
		return Value{}, ErrTrailing
	}
	return Value{b}, nil
}

// scanner is the state of one pass. The stack of open containers is part of
// it, so that the scan neither recurses nor allocates.
type scanner struct {
	b      []byte
	pos    int
	lim    Limits
	strict bool
	rep    Report
	depth  int
	open   [MaxDepth]container
}

// container is a list or dictionary that has not ended yet.
type container struct {
	isDict    bool
	needValue bool // a key was read and its value was not
	hasKey    bool
	lastKey   []byte
}

// run reads one token after the other until the first value of b is complete.
func (s *scanner) run(b []byte, lim Limits) error {
	if lim.Depth <= 0 || lim.Depth > MaxDepth {
		lim.Depth = MaxDepth
	}
	if lim.Tokens <= 0 {
		lim.Tokens = DefaultTokens
	}
	s.b, s.lim = b, lim
	for {
		if err := s.token(); err != nil {
			return err
		}
		if s.depth == 0 {
			return nil
		}
	}
}

// token reads a key, a scalar, or the start or end of a container.
func (s *scanner) token() error {
	if s.pos >= len(s.b) {
		return ErrTruncated
	}
	c := s.b[s.pos]
	if c == 'e' {
		return s.end()
	}
	if s.rep.Tokens++; s.rep.Tokens > s.lim.Tokens {
		return ErrTokens
	}
	if s.depth > 0 {
		if top := &s.open[s.depth-1]; top.isDict {
			if !top.needValue {
				return s.key(top)
			}
			top.needValue = false
		}
	}
	switch {
	case c == 'd' || c == 'l':
		return s.start(c == 'd')
	case c == 'i':
		end, err := checkInt(s.b, s.pos)
		if err == nil {
			s.pos = end
		}
		return err
	case isDigit(c):
		_, err := s.str()
		return err
	}
	return ErrSyntax
}

func (s *scanner) start(isDict bool) error {
	if s.depth >= s.lim.Depth {
		return ErrDepth
	}
	s.open[s.depth] = container{isDict: isDict}
	s.depth++
	s.pos++
	return nil
}

func (s *scanner) end() error {
	switch {
	case s.depth == 0:
		return ErrSyntax
	case s.open[s.depth-1].needValue:
		return ErrKey
	}
	s.depth--
	s.pos++
	return nil
}

// key reads a key of the dictionary top and compares it with the one before.
func (s *scanner) key(top *container) error {
	if !isDigit(s.b[s.pos]) {
		return ErrKey
	}
	key, err := s.str()
	if err != nil {
		return err
	}
	if top.hasKey {
		if order := bytes.Compare(top.lastKey, key); order == 0 {
			s.rep.Duplicate = true
		} else if order > 0 {
			s.rep.Unsorted = true
		}
		if s.strict && (s.rep.Duplicate || s.rep.Unsorted) {
			return s.rep.Strict()
		}
	}
	top.hasKey, top.needValue, top.lastKey = true, true, key
	return nil
}

// str reads a string. Its length is checked against what is left, never
// believed: fifteen bytes can claim two gigabytes.
func (s *scanner) str() ([]byte, error) {
	start, length, ok := stringHead(s.b, s.pos)
	switch {
	case !ok && start == len(s.b):
		return nil, ErrTruncated
	case !ok || length > len(s.b)-start:
		return nil, ErrLength
	}
	s.pos = start + length
	return s.b[start:s.pos], nil
}

// stringHead reads the length in front of the string at b[pos:] and returns
// where the string itself starts. If it is not canonical, or the bytes end
// (start is then len(b)), ok is false.
func stringHead(b []byte, pos int) (start, length int, ok bool) {
	first := pos
	for ; pos < len(b) && isDigit(b[pos]); pos++ {
		if length > (math.MaxInt32-9)/10 { // no buffer of ours is that long
			return pos, 0, false
		}
		length = length*10 + int(b[pos]-'0')
	}
	switch {
	case pos >= len(b):
		return len(b), 0, false
	case b[pos] != ':' || pos == first || b[first] == '0' && pos != first+1:
		return pos, 0, false
	}
	return pos + 1, length, true
}

// checkInt reads the integer at b[pos:] and returns where it ends. BEP 3:
// "i-0e is invalid. All encodings with a leading zero, such as i03e, are
// invalid, other than i0e".
func checkInt(b []byte, pos int) (end int, err error) {
	pos++ // the i
	negative := pos < len(b) && b[pos] == '-'
	if negative {
		pos++
	}
	first := pos
	var n uint64
	for ; pos < len(b) && isDigit(b[pos]); pos++ {
		if n > (math.MaxInt64)/10 {
			return 0, ErrInteger
		}
		n = n*10 + uint64(b[pos]-'0')
	}
	most := uint64(math.MaxInt64)
	if negative {
		most++
	}
	switch {
	case pos >= len(b):
		return 0, ErrTruncated
	case b[pos] != 'e' || pos == first || n > most:
		return 0, ErrInteger
	case b[first] == '0' && (negative || pos != first+1):
		return 0, ErrInteger
	}
	return pos + 1, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hasDuplicate looks for a key that some dictionary of the validated value b
// has twice. Where the keys are sorted the scan itself has seen it; this
// second pass is for unsorted dictionaries only. It keeps the keys of open
// dictionaries on one stack and sorts them when theirs ends, so a hostile
// value costs n log n time and a slice header per key.
func hasDuplicate(b []byte) bool {
	type frame struct {
		isDict, needValue bool
		firstKey          int
	}
	var frames []frame
	var keys [][]byte
	for pos := 0; pos < len(b); {
		top := len(frames) - 1
		isKey := top >= 0 && frames[top].isDict && !frames[top].needValue
		if top >= 0 {
			frames[top].needValue = isKey
		}
		switch c := b[pos]; {
		case c == 'd' || c == 'l':
			frames = append(frames, frame{isDict: c == 'd', firstKey: len(keys)})
			pos++
		case c == 'e':
			own := keys[frames[top].firstKey:]
			if sameTwice(own) {
				return true
			}
			keys, frames = keys[:frames[top].firstKey], frames[:top]
			pos++
		default:
			end := skip(b, pos)
			if isKey {
				keys = append(keys, Value{b[pos:end]}.str())
			}
			pos = end
		}
	}
	return false
}

// sameTwice sorts keys and reports whether two are equal.
func sameTwice(keys [][]byte) bool {
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return true
		}
	}
	return false
}
