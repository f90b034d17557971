package metainfo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// infoOf returns an Info of files with these lengths, pieces of 16 bytes.
func infoOf(t *testing.T, lengths ...int64) *Info {
	t.Helper()
	in := new(Info)
	var total int64
	for _, n := range lengths {
		in.Files = append(in.Files, File{Offset: total, Length: n})
		total += n
	}
	var err error
	if in.Geometry, err = NewGeometry(total, 16); err != nil {
		t.Fatal(err)
	}
	return in
}

func spans(in *Info, offset, length int64) string {
	var b strings.Builder
	for s := range in.Spans(offset, length) {
		fmt.Fprintf(&b, "%d:%d+%d ", s.FileIndex, s.Offset, s.Length)
	}
	return strings.TrimSpace(b.String())
}

func TestSpans(t *testing.T) {
	in := infoOf(t, 0, 10, 0, 0, 5, 20, 0)
	for _, test := range []struct {
		offset, length int64
		want           string
	}{
		{0, 35, "1:0+10 4:0+5 5:0+20"},
		{0, 10, "1:0+10"},
		{9, 2, "1:9+1 4:0+1"},
		{10, 5, "4:0+5"},
		{12, 4, "4:2+3 5:0+1"},
		{34, 100, "5:19+1"},
		{34, math.MaxInt64, "5:19+1"},
		{35, 1, ""},
		{math.MaxInt64, math.MaxInt64, ""},
		{5, 0, ""},
		{5, -1, ""},
	} {
		if got := spans(in, test.offset, test.length); got != test.want {
			t.Errorf("Spans(%d, %d) = %q, want %q", test.offset, test.length, got, test.want)
		}
	}
	for range in.Spans(0, 35) {
		break // a range may end early
	}
}

// Spans and PieceRange do as a walk over single bytes does.
func TestSpansAgainstBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		lengths := make([]int64, 1+rng.IntN(12))
		for i := range lengths {
			lengths[i] = max(0, rng.Int64N(40)-10)
		}
		lengths[rng.IntN(len(lengths))]++ // at least one byte
		in := infoOf(t, lengths...)
		offset, length := rng.Int64N(100), rng.Int64N(100)
		if got, want := spans(in, offset, length), slowSpans(in, offset, length); got != want {
			t.Fatalf("files %v: Spans(%d, %d) = %q, want %q", lengths, offset, length, got, want)
		}
		for i, f := range in.Files {
			first, end := in.PieceRange(i)
			if f.Length == 0 && first != end || f.Length > 0 && (int64(first) != f.Offset/16 || int64(end) != (f.Offset+f.Length-1)/16+1) {
				t.Fatalf("files %v: file %d has pieces %d to %d", lengths, i, first, end)
			}
		}
	}
}

func slowSpans(in *Info, offset, length int64) string {
	var parts []string
	for i, f := range in.Files {
		from, to := max(f.Offset, offset), min(f.Offset+f.Length, offset+length)
		if from < to {
			parts = append(parts, fmt.Sprintf("%d:%d+%d", i, from-f.Offset, to-from))
		}
	}
	return strings.Join(parts, " ")
}

func TestSpansDoNotAllocate(t *testing.T) {
	in := infoOf(t, 10, 0, 10, 10)
	if n := testing.AllocsPerRun(100, func() {
		for s := range in.Spans(5, 20) {
			_ = s.Length
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// 300,000 empty files between two full ones are stepped over, not through.
func BenchmarkSpansOverEmptyFiles(b *testing.B) {
	in := &Info{Files: slices.Repeat([]File{{Offset: 1}}, 300_000)}
	in.Files[0] = File{Length: 1}
	in.Files = append(in.Files, File{Offset: 1, Length: 1})
	in.Geometry, _ = NewGeometry(2, 16)
	for b.Loop() {
		for range in.Spans(0, 2) {
		}
	}
}

func TestRawPathStaysInside(t *testing.T) {
	for _, test := range []struct {
		path []string
		ok   bool
	}{
		{[]string{"aux.c"}, true},
		{[]string{"a", "B:"}, false},
		{[]string{"a b.", "c"}, true},
		{[]string{"..", "x"}, false},
		{[]string{"a/b"}, false},
		{[]string{`a\b`}, false},
		{[]string{"a\x00"}, false},
		{[]string{"."}, false},
		{nil, false},
	} {
		in := &Info{Files: []File{{Path: test.path}}}
		if got, ok := in.RawPath(0); ok != test.ok || ok && got != strings.Join(test.path, "/") {
			t.Errorf("RawPath of %q = %q, %v", test.path, got, ok)
		}
	}
}

func TestParseInfoHash(t *testing.T) {
	const digits = "0123456789abcdef0123456789ABCDEF01234567"
	h, err := ParseInfoHash(digits)
	if err != nil || h.String() != strings.ToLower(digits) {
		t.Errorf("%v, %v", h, err)
	}
	if again, err := ParseInfoHash("AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"); err != nil || again != h {
		t.Errorf("base32: %v, %v", again, err)
	}
	if again, err := ParseInfoHash("aerukz4jvpg66ajdivtytk6n54asgrlh"); err != nil || again != h {
		t.Errorf("base32 in lower case: %v, %v", again, err)
	}
	for _, bad := range []string{"", digits[:39], digits + "0", strings.Repeat("g", 40), strings.Repeat("1", 32),
		strings.Repeat("A", 31) + "=", strings.Repeat("A", 24) + "\n\n\n\n\n\n\n\n"} {
		if h, err := ParseInfoHash(bad); err == nil || h != (InfoHash{}) {
			t.Errorf("ParseInfoHash(%q) = %v, %v", bad, h, err)
		}
	}
}

func FuzzInfoHash(f *testing.F) {
	f.Add("0123456789abcdef0123456789ABCDEF01234567")
	f.Add("AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH")
	f.Add(strings.Repeat("A", 24) + "========")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseInfoHash(s)
		if err != nil {
			return
		}
		if again, err := ParseInfoHash(h.String()); err != nil || again != h {
			t.Fatalf("%q became %v, %v", s, again, err)
		}
		if len(s) == 40 && !strings.EqualFold(s, h.String()) {
			t.Fatalf("%q became %v", s, h)
		}
	})
}

func TestPeerID(t *testing.T) {
	id := PeerIDFrom([12]byte{0, 1, 2, 63, 64, 255})
	if got := id.String(); got != "-SH0100-012.0.000000" {
		t.Errorf("peer id %q", got)
	}
	if a, b := NewPeerID(), NewPeerID(); a == b {
		t.Error("two peer ids are equal")
	}
	if got := (PeerID{0x1b, 'a', '\\', 0x7f}).String(); !strings.HasPrefix(got, `\x1ba\x5c\x7f\x00`) {
		t.Errorf("hostile peer id %q", got)
	}
	if want := "-SH" + strings.ReplaceAll(Version, ".", "") + "0-"; peerIDPrefix != want {
		t.Errorf("the peer id says %s, the version %s", peerIDPrefix, Version)
	}
}

func TestGeometry(t *testing.T) {
	g, err := NewGeometry(100_000, 32<<10)
	if err != nil {
		t.Fatal(err)
	}
	if g.NumPieces() != 4 || g.PieceLen(0) != 32<<10 || g.PieceLen(3) != 100_000-3*32<<10 || g.PieceOffset(3) != 3*32<<10 {
		t.Errorf("%+v: last piece has %d bytes", g, g.PieceLen(3))
	}
	if g.NumBlocks(0) != 2 || g.NumBlocks(3) != 1 || g.BlockLen(3, 0) != 1696 || g.BlockLen(0, 1) != BlockLen {
		t.Errorf("blocks %d, %d, %d", g.NumBlocks(0), g.NumBlocks(3), g.BlockLen(3, 0))
	}
	for _, test := range []struct {
		piece, begin, length uint32
		want                 bool
	}{
		{0, 0, 32 << 10, true}, {0, 1, 32 << 10, false}, {3, 0, 1696, true}, {3, 0, 1697, false}, {4, 0, 1, false},
		{0, 0, 0, false}, {math.MaxUint32, 0, 1, false}, {0, math.MaxUint32, math.MaxUint32, false}, {0, math.MaxUint32, 2, false},
	} {
		if got := g.Contains(test.piece, test.begin, test.length); got != test.want {
			t.Errorf("Contains%v = %v", test, got)
		}
	}
	for _, bad := range [][2]int64{{-1, 1}, {1, 0}, {1, -1}, {1, MaxPieceLen + 1}, {MaxPieces + 1, 1}, {math.MaxInt64, 16384}} {
		if g, err := NewGeometry(bad[0], bad[1]); err == nil || !g.IsZero() {
			t.Errorf("NewGeometry%v = %+v, %v", bad, g, err)
		}
	}
}
