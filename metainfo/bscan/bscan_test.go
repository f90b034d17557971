package bscan

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	anacrolix "github.com/anacrolix/torrent/bencode"
	zeebo "github.com/zeebo/bencode"
)

func TestScanRefuses(t *testing.T) {
	for _, test := range []struct {
		in   string
		want error
	}{
		{"", ErrTruncated},
		{"i", ErrTruncated},
		{"i1", ErrTruncated},
		{"i-", ErrTruncated},
		{"ie", ErrInteger},
		{"i-e", ErrInteger},
		{"i-0e", ErrInteger},
		{"i01e", ErrInteger},
		{"i00e", ErrInteger},
		{"i-01e", ErrInteger},
		{"i+1e", ErrInteger},
		{"i 1e", ErrInteger},
		{"i1.5e", ErrInteger},
		{"i9223372036854775808e", ErrInteger},
		{"i-9223372036854775809e", ErrInteger},
		{"i18446744073709551617e", ErrInteger},
		{"i99999999999999999999999e", ErrInteger},
		{"0", ErrTruncated},
		{"1:", ErrLength},
		{"5:spam", ErrLength},
		{"2147483647:ab", ErrLength},
		{"2147483640:ab", ErrLength},
		{"99999999999999999999:ab", ErrLength},
		{"18446744073709551617:a", ErrLength},
		{"00:", ErrLength},
		{"01:a", ErrLength},
		{"1a", ErrLength},
		{"-1:a", ErrSyntax},
		{":", ErrSyntax},
		{"e", ErrSyntax},
		{"x", ErrSyntax},
		{"l", ErrTruncated},
		{"d", ErrTruncated},
		{"lx", ErrSyntax},
		{"d1:a", ErrTruncated},
		{"d1:ae", ErrKey},
		{"di1e1:ae", ErrKey},
		{"dlei1ee", ErrKey},
		{"d1:ai1e1:be", ErrKey},
		{strings.Repeat("l", MaxDepth+1), ErrDepth},
		{strings.Repeat("l", 1_000_000), ErrDepth},
		{strings.Repeat("d1:a", 1_000_000), ErrDepth},
	} {
		v, report, err := Scan([]byte(test.in), Limits{})
		if err != test.want {
			t.Errorf("Scan(%.40q) = %v, want %v", test.in, err, test.want)
		}
		if v.Kind() != None || report.Offset > len(test.in) {
			t.Errorf("Scan(%.40q) gave kind %d and offset %d beside the error", test.in, v.Kind(), report.Offset)
		}
	}
}

func TestScanAccepts(t *testing.T) {
	for _, in := range []string{
		"i0e", "i-1e", "i9223372036854775807e", "i-9223372036854775808e", "0:", "3:a:b", "le", "de",
		"d0:i1ee", "d1:ai1e1:bl1:xd1:yleeee",
		strings.Repeat("l", MaxDepth) + strings.Repeat("e", MaxDepth),
	} {
		v, report, err := Scan([]byte(in), Limits{})
		if err != nil || string(v.Bytes()) != in || report.Offset != len(in) || report.Strict() != nil {
			t.Errorf("Scan(%.40q) = %.40q, %+v, %v", in, v.Bytes(), report, err)
		}
		if _, err := Strict([]byte(in), Limits{}); err != nil {
			t.Errorf("Strict(%.40q) = %v", in, err)
		}
	}
}

func TestReport(t *testing.T) {
	for _, test := range []struct {
		in                  string
		unsorted, duplicate bool
		trailing            int
		strict              error
	}{
		{"d1:bi1e1:ai2ee", true, false, 0, ErrUnsorted},
		{"d1:ai1e1:ai2ee", false, true, 0, ErrDuplicate},
		{"d1:ai1e1:bi1e1:ai2ee", true, true, 0, ErrUnsorted},
		{"ld1:b0:1:ad1:x0:1:x0:eee", true, true, 0, ErrDuplicate},
		{"ld1:b0:1:a0:ed1:b0:1:a0:ee", true, false, 0, ErrUnsorted},
		{"d1:bd1:b0:1:a0:e1:ad1:b0:ee", true, false, 0, ErrUnsorted},
		{"d2:aa0:1:bl1:b1:a1:bee", false, false, 0, nil},
		{"d1:a0:2:aa0:1:b0:e", false, false, 0, nil},
		{"i1ei2e", false, false, 3, ErrTrailing},
	} {
		_, report, err := Scan([]byte(test.in), Limits{})
		if err != nil || report.Unsorted != test.unsorted || report.Duplicate != test.duplicate || report.Trailing != test.trailing {
			t.Errorf("Scan(%q) = %+v, %v", test.in, report, err)
		}
		if _, err := Strict([]byte(test.in), Limits{}); err != test.strict && !(report.Duplicate && err != nil) {
			t.Errorf("Strict(%q) = %v, want %v", test.in, err, test.strict)
		}
	}
}

func TestLimits(t *testing.T) {
	in := []byte("d1:al1:x1:yee") // depth 2; d, 1:a, l, 1:x, 1:y
	for _, test := range []struct {
		lim  Limits
		want error
	}{
		{Limits{Depth: 1}, ErrDepth},
		{Limits{Depth: 2, Tokens: 5}, nil},
		{Limits{Tokens: 4}, ErrTokens},
		{Limits{Depth: math.MaxInt}, nil},
	} {
		if _, _, err := Scan(in, test.lim); err != test.want {
			t.Errorf("Scan with %+v = %v, want %v", test.lim, err, test.want)
		}
	}
	deep := []byte(strings.Repeat("l", MaxDepth+1) + strings.Repeat("e", MaxDepth+1))
	if _, _, err := Scan(deep, Limits{Depth: MaxDepth + 1}); err != ErrDepth {
		t.Errorf("a limit above MaxDepth was obeyed: %v", err)
	}
}

func TestValue(t *testing.T) {
	v, _, err := Scan([]byte("d1:ai-42e1:bl1:xi7ee1:c0:1:dd1:e3:fooeetail"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := v.Get("a").Int(); !ok || n != -42 {
		t.Errorf("a = %d, %v", n, ok)
	}
	if s, ok := v.Get("d").Get("e").Str(); !ok || string(s) != "foo" {
		t.Errorf("d.e = %q, %v", s, ok)
	}
	if s, ok := v.Get("c").Str(); !ok || len(s) != 0 {
		t.Errorf("c = %q, %v", s, ok)
	}
	if span := v.Get("d").Bytes(); string(span) != "d1:e3:fooe" {
		t.Errorf("span of d = %q", span)
	}
	var got []string
	for element := range v.Get("b").List() {
		got = append(got, string(element.Bytes()))
	}
	for key, value := range v.Dict() {
		got = append(got, fmt.Sprintf("%s=%d", key, value.Kind()))
	}
	want := []string{"1:x", "i7e", "a=1", "b=3", "c=2", "d=4"}
	if !slices.Equal(got, want) {
		t.Errorf("walked over %q, want %q", got, want)
	}
}

func TestValueOfWrongKind(t *testing.T) {
	for _, in := range []string{"i1e", "1:x", "l1:xe", "d1:x1:ye"} {
		v, _, _ := Scan([]byte(in), Limits{})
		_, isInt := v.Int()
		_, isString := v.Str()
		count := 0
		for range v.List() {
			count++
		}
		for range v.Dict() {
			count += 10
		}
		kinds := map[bool]Kind{isInt: Int, isString: String, count == 1: List, count == 10: Dict}
		delete(kinds, false)
		if len(kinds) != 1 || kinds[true] != v.Kind() {
			t.Errorf("%q: Int %v, Str %v, elements %d", in, isInt, isString, count)
		}
	}
	var absent Value
	if absent.Get("x").Get("y").Kind() != None || absent.Bytes() != nil {
		t.Error("the zero Value is not absent")
	}
}

func TestIntBounds(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 10, math.MaxInt64, math.MinInt64} {
		v, _, _ := Scan(fmt.Appendf(nil, "i%de", n), Limits{})
		if got, ok := v.Int(); !ok || got != n {
			t.Errorf("Int of %d = %d, %v", n, got, ok)
		}
	}
}

// A caller that appends to a span must not overwrite what follows it.
func TestSpansAreCapped(t *testing.T) {
	in := []byte("l1:a1:be")
	v, _, _ := Scan(in, Limits{})
	for element := range v.List() {
		s, _ := element.Str()
		_ = append(s, 'X')
		_ = append(element.Bytes(), 'X')
	}
	if string(in) != "l1:a1:be" {
		t.Errorf("appending to a span changed the input: %q", in)
	}
}

var query = []byte("d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe")

func TestNoAllocations(t *testing.T) {
	bad := bytes.Replace(query, []byte("1:y"), []byte("1:\xff"), 1)[:len(query)-1]
	if n := testing.AllocsPerRun(100, func() { walk(t, query); _, _, _ = Scan(bad, Limits{}) }); n != 0 {
		t.Errorf("%v allocations for a packet, want 0", n)
	}
}

func walk(t testing.TB, packet []byte) {
	v, _, err := Scan(packet, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var args Value
	for key, value := range v.Dict() {
		if string(key) == "a" {
			args = value
		}
	}
	if id, ok := args.Get("id").Str(); !ok || len(id) != 20 {
		t.Fatal("no id")
	}
}

// Half a million keys in the worst order: a quadratic search for duplicates
// would take minutes.
func TestDuplicateAmongManyUnsorted(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte('d')
	for i := 500_000; i > 0; i-- {
		fmt.Fprintf(&b, "7:%07d0:", i)
	}
	unique := append(slices.Clone(b.Bytes()), 'e')
	b.WriteString("7:02500000:e")
	for want, in := range map[bool][]byte{false: unique, true: b.Bytes()} {
		if _, report, err := Scan(in, Limits{}); err != nil || !report.Unsorted || report.Duplicate != want {
			t.Errorf("report %+v, %v, want Duplicate %v", report, err, want)
		}
	}
}

// FuzzScan holds the scanner against itself and against two other decoders:
// what it accepts strictly, they decode too, and re-encoding what they decoded
// gives the same bytes.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{"i0e", "i-0e", "i01e", "0:", "le", "de", "d1:ai1e1:bl1:xd1:yleeee", "d1:bi1e1:ai2ee", "d1:ai1e1:ai2ee",
		"999999999:a", "llllllll", "i9223372036854775807e", "i-9223372036854775808e", "i1e5:trail", string(query)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, report, err := Scan(b, Limits{Tokens: 10_000})
		if report.Offset > len(b) {
			t.Fatalf("offset %d of %d", report.Offset, len(b))
		}
		_, strictErr := Strict(b, Limits{Tokens: 10_000})
		if (strictErr == nil) != (err == nil && report.Strict() == nil) {
			t.Fatalf("Strict says %v, Scan %v with %+v", strictErr, err, report)
		}
		if err != nil {
			return
		}
		if tokens := count(v); tokens != report.Tokens {
			t.Fatalf("walked over %d tokens, scanned %d", tokens, report.Tokens)
		}
		if strictErr == nil {
			compare(t, b)
		}
	})
}

// count walks over all of v; the depth is bounded by MaxDepth.
func count(v Value) int {
	n := 1
	for element := range v.List() {
		n += count(element)
	}
	for _, value := range v.Dict() {
		n += 1 + count(value)
	}
	return n
}

func compare(t *testing.T, b []byte) {
	for name, codec := range map[string]struct {
		unmarshal func([]byte, any) error
		marshal   func(any) ([]byte, error)
	}{
		"anacrolix": {anacrolix.Unmarshal, anacrolix.Marshal},
		"zeebo":     {zeebo.DecodeBytes, zeebo.EncodeBytes},
	} {
		var x any
		if err := codec.unmarshal(b, &x); err != nil {
			t.Fatalf("%s refuses %q: %v", name, b, err)
		}
		again, err := codec.marshal(x)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s makes %q of %q: %v", name, again, b, err)
		}
	}
}

func BenchmarkScanPacket(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		walk(b, query)
	}
}
