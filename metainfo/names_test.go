package metainfo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct{ in, want string }{
		{"plain name.ogg", "plain name.ogg"},
		{"Ünïcödé 日本語 العربية 🎵.ogg", "Ünïcödé 日本語 العربية 🎵.ogg"},
		{"What? 1:2 <3> \"x\" *.txt", "What? 1:2 <3> \"x\" *.txt"},
		{".hidden", ".hidden"},
		{"", "_"},
		{".", "_"},
		{"..", "_"},
		{"...", "_"},
		{". .", "_"},
		{"  ", "_"},
		{"/etc/passwd", "_etc_passwd"},
		{`..\..\x`, ".._.._x"},
		{"C:", "C_"},
		{"c:evil", "c_evil"},
		{"a\x00b\x1b[31m\r\n\x7f", "a_b_[31m___"},
		{"a\u0085\u2028\u2029b", "a___b"},
		{"gpj\u202eexe", "gpjexe"},
		{"zero\u200bwidth\u200d\ufeff\u2066\u00ad", "zerowidth"},
		{"\u200b.\u200b.", "_"},
		{"bad\xffutf8\xc3", "bad_utf8_"},
		{"trailing. . ", "trailing"},
		{"con", "con_"},
		{"CON.txt", "CON_.txt"},
		{"Aux .tar.gz", "Aux _.tar.gz"},
		{"nul.", "nul_"},
		{"com1", "com1_"},
		{"LPT9.x", "LPT9_.x"},
		{"com¹", "com¹_"},
		{"com10", "com10"},
		{"com", "com"},
		{"console", "console"},
		{long, long[:MaxNameLen]},
		{long + ".flac", long[:MaxNameLen-5] + ".flac"},
		{long + "." + long, long[:MaxNameLen]},
		{strings.Repeat("é", 200) + ".ogg", strings.Repeat("é", 118) + ".ogg"},
		{strings.Repeat("x", 239) + " " + long, strings.Repeat("x", 239)},
	} {
		if got := SafeName(test.in); got != test.want {
			t.Errorf("SafeName(%q) = %q, want %q", test.in, got, test.want)
		}
	}
	if got := safeName(`a<b>c:d"e|f?g*h`, true); got != "a_b_c_d_e_f_g_h" {
		t.Errorf("on Windows: %q", got)
	}
}

// names gives the paths DiskPaths below a folder t.
func names(paths ...string) []string {
	n := newNamer()
	folder := n.folder(0, "t")
	var got []string
	for _, path := range paths {
		got = append(got, strings.TrimPrefix(n.file(folder, strings.Split(path, "/")), "t/"))
	}
	return got
}

func TestNamesAreUnique(t *testing.T) {
	for _, test := range []struct{ in, want []string }{
		{[]string{"a", "a", "a"}, []string{"a", "a (2)", "a (3)"}},
		{[]string{"Makefile", "makefile"}, []string{"Makefile", "makefile (2)"}},
		{[]string{"x.OGG", "X.ogg"}, []string{"x.OGG", "X (2).ogg"}},
		{[]string{"Ä", "ä", "ſ", "S", "K", "k"}, []string{"Ä", "ä (2)", "ſ", "S (2)", "K", "k (2)"}},
		{[]string{"a", "a (2)", "a"}, []string{"a", "a (2)", "a (3)"}},
		{[]string{"a (2)", "a", "a"}, []string{"a (2)", "a", "a (3)"}},
		{[]string{"a", "a/b", "a/c"}, []string{"a", "a (2)/b", "a (2)/c"}}, // a file, then a folder
		{[]string{"a/b", "a", "a/c"}, []string{"a/b", "a (2)", "a/c"}},     // a folder, then a file
		{[]string{"D/x", "d/x", "D/y"}, []string{"D/x", "d (2)/x", "D/y"}},
		{[]string{"a\x01", "a\x02"}, []string{"a_", "a_ (2)"}},
		{[]string{"con", "con_"}, []string{"con_", "con_ (2)"}},
		{[]string{"../x", "./x"}, []string{"_/x", "_ (2)/x"}},
	} {
		if got := names(test.in...); !slices.Equal(got, test.want) {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
	}
}

func TestManyDuplicates(t *testing.T) {
	got := names(slices.Repeat([]string{"same.ogg"}, 500)...)
	if got[499] != "same (500).ogg" {
		t.Errorf("the last is %q", got[499])
	}
	checkDiskPaths(t, got)
}

// Names that differ only where they are cut all want the same numbers. Trying
// each from 2 on would take 20,000 * 20,000 / 2 steps.
func TestManyLongDuplicates(t *testing.T) {
	var paths []string
	for i := range 20_000 {
		name := strings.Repeat("x", MaxNameLen-8) + fmt.Sprintf("%08d", i)
		paths = append(paths, name, name)
	}
	checkDiskPaths(t, names(paths...))
}

func TestDeepPaths(t *testing.T) {
	deep := strings.Repeat("d/", 500)
	wide := strings.Repeat(strings.Repeat("w", 200)+"/", 80)
	got := names(deep+"file", deep+"e/file", wide+"file", wide+"file")
	checkDiskPaths(t, got)
	if depth := strings.Count("t/"+got[0], "/") + 1; depth != maxPathDepth || !strings.HasSuffix(got[1], "d/file (2)") {
		t.Errorf("%d components; then %q", depth, got[1])
	}
}

// checkDiskPaths holds paths to what File.DiskPath promises.
func checkDiskPaths(t *testing.T, paths []string) {
	t.Helper()
	files, folders := map[string]bool{}, map[string]bool{}
	for _, path := range paths {
		if path == "" { // a pad file
			continue
		}
		components := strings.Split(path, "/")
		if len(components) > maxPathDepth || len(path) > maxPathLen+2*MaxNameLen+2 {
			t.Fatalf("%d components, %d bytes", len(components), len(path))
		}
		for i, component := range components {
			checkName(t, component)
			if i > 0 {
				folders[fold(strings.Join(components[:i], "/"))] = true
			}
		}
		if files[fold(path)] {
			t.Fatalf("two files are called %q", path)
		}
		files[fold(path)] = true
	}
	for path := range files {
		if folders[path] {
			t.Fatalf("%q is a file and a folder", path)
		}
	}
}

func checkName(t *testing.T, name string) {
	t.Helper()
	bad := name == "" || len(name) > MaxNameLen || !utf8.ValidString(name) || leavesFolder(name) ||
		strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || isDevice(strings.ToLower(strings.TrimRight(strings.Split(name, ".")[0], " "))) ||
		strings.ContainsFunc(name, func(r rune) bool {
			return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff
		})
	if bad {
		t.Fatalf("%q is not a safe name", name)
	}
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"", "..", "con.txt", "a\x00b", "C:x", "x. .", "\u202e", "\xff", strings.Repeat("é.", 200), "aux .x", "a/a\x00b/A/a (2)",
		"a\u2065b", strings.Repeat(" ", 300) + "x", "con" + strings.Repeat(" ", 300) + "x", "con." + strings.Repeat("x", 236)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, onWindows := range []bool{false, true} {
			name := safeName(s, onWindows)
			checkName(t, name)
			if again := safeName(name, onWindows); again != name {
				t.Fatalf("%q became %q became %q", s, name, again)
			}
		}
		if p := Printable(s); Printable(p) != p || !utf8.ValidString(p) {
			t.Fatalf("Printable(%q) = %q", s, p)
		}
		paths := strings.Split(s, "\x00")
		checkDiskPaths(t, names(append(paths, paths...)...))
	})
}

func TestPrintable(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain ~", "plain ~"},
		{"日本語 é 🎵", "日本語 é 🎵"},
		{"\x1b[2J\a\r\n\t", `\x1b[2J\a\r\n\t`},
		{"\x7f\u0085", `\x7f\u0085`},
		{"gpj\u202eexe\u200b", `gpj\u202eexe\u200b`},
		{"\xff\xc3(", `\xff\xc3(`},
		{"\ufffd", "\ufffd"},
		{"\U000e0041", `\U000e0041`},
		{"", ""},
	} {
		if got := Printable(test.in); got != test.want {
			t.Errorf("Printable(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}
