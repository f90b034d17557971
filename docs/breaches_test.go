package docs_test

import (
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// breaches are files that break a rule, and files beside them that do not.
var breaches = []struct {
	rule string
	path string
	text string // a Go file starts behind its package clause, in line 3
	want string // part of the only finding; empty for none
}{
	{"the top level is fixed", "util/a.go", "", "util: not a folder"},
	{"the top level is fixed", ".hidden/a.go", "", ""},

	{"imports point downward", "peer/a.go", `import _ "github.com/shoal-bt/shoal/tracker"`, "peer/a.go:3: peer imports tracker"},
	{"imports point downward", "peer/a.go", `import _ "github.com/shoal-bt/shoal/dht/krpc"`, "peer imports dht/krpc"},
	{"imports point downward", "piecestore/a.go", `import _ "github.com/shoal-bt/shoal/peer"`, "piecestore imports peer"},
	{"imports point downward", "tracker/server/a.go", `import _ "github.com/shoal-bt/shoal/swarmtest/sim"`, "tracker/server imports swarmtest/sim"},
	{"imports point downward", "metainfo/a.go", `import _ "github.com/shoal-bt/shoal/cmd/shoal"`, "metainfo imports cmd/shoal"},
	{"imports point downward", "cmd/shoal/a.go", `import _ "github.com/shoal-bt/shoal/swarmtest"`, ""},
	{"imports point downward", "peer/a.go", `import _ "github.com/shoal-bt/shoal/peer/wire"`, ""},
	{"imports point downward", "peer/a_test.go", `import _ "github.com/shoal-bt/shoal/tracker"`, ""},

	{"leaves import nothing of the project", "metainfo/bscan/a.go", `import _ "github.com/shoal-bt/shoal/metainfo"`, "the leaf metainfo/bscan imports metainfo"},
	{"leaves import nothing of the project", "metainfo/bscan/a.go", `import _ "bytes"`, ""},

	{"cores are there", "dht/engine/a.go", "", "dht/node: there is no such core"},
	{"cores are there", "dht/node/a.go", "", ""},

	{"cores import no outside world", "peer/engine/a.go", `import _ "sync/atomic"`, "import of sync/atomic"},
	{"cores import no outside world", "peer/quota/a.go", `import _ "net"`, "import of net"},
	{"cores import no outside world", "dht/node/a.go", `import _ "os"`, "import of os"},
	{"cores import no outside world", "tracker/announce/a.go", `import _ "log/slog"`, "import of log/slog"},
	{"cores import no outside world", "tracker/swarm/a.go", `import _ "math/rand"`, "import of math/rand"},
	{"cores import no outside world", "swarmtest/sim/a.go", `import . "strings"`, "dot import of strings"},
	{"cores import no outside world", "peer/engine/a.go", `import _ "hash/maphash"`, "import of hash/maphash"},
	{"cores import no outside world", "peer/engine/a.go", `import _ "github.com/shoal-bt/shoal/piecestore"`, "shoal/piecestore"},
	{"cores import no outside world", "peer/engine/a.go", `import _ "github.com/shoal-bt/shoal/peer/wire"`, ""},
	{"cores import no outside world", "swarmtest/sim/a.go", `import _ "github.com/shoal-bt/shoal/peer/engine"`, ""},
	{"cores import no outside world", "peer/engine/a.go", `import _ "net/netip"`, ""},
	{"cores import no outside world", "peer/engine/a_test.go", `import _ "os"`, ""},
	{"cores import no outside world", "peer/a.go", `import _ "net"`, ""},

	{"cores have no concurrency", "peer/engine/a.go", "func f() { go f() }", "peer/engine/a.go:3: go statement"},
	{"cores have no concurrency", "peer/engine/a.go", "func f() { select {} }", "select statement"},
	{"cores have no concurrency", "peer/engine/a.go", "var c chan int", "channel type"},
	{"cores have no concurrency", "peer/engine/a.go", "func f() { c <- 1 }", "send to a channel"},
	{"cores have no concurrency", "peer/engine/a.go", "func f() { <-c }", "receive from a channel"},
	{"cores have no concurrency", "peer/engine/a.go", "func f() { f() }", ""},

	{"cores have no clock and no global randomness", "peer/engine/a.go", "import \"time\"\nvar x = time.Now()", "peer/engine/a.go:4: use of time.Now"},
	{"cores have no clock and no global randomness", "swarmtest/sim/a.go", "import clock \"time\"\nvar x = clock.NewTimer", "use of time.NewTimer"},
	{"cores have no clock and no global randomness", "peer/quota/a.go", "import \"math/rand/v2\"\nvar x = rand.IntN(2)", "use of math/rand/v2.IntN"},
	{"cores have no clock and no global randomness", "peer/quota/a.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "use of fmt.Println"},
	{"cores have no clock and no global randomness", "peer/quota/a.go", "import (\"math/rand/v2\"; \"time\")\nvar x, y = rand.New(nil), time.Duration(1)", ""},

	{"no order of a map reaches an output", "peer/engine/a.go", "var m map[int]bool\nfunc f() { for range m {} }", "peer/engine/a.go:4: range over a map"},
	{"no order of a map reaches an output", "peer/engine/a.go", "type T struct{ m M }\ntype M map[int]T\nfunc f(t *T) { x := t.m; for range x {} }", "range over a map"},
	{"no order of a map reaches an output", "peer/engine/a.go", "import \"maps\"\nvar m map[int]bool\nfunc f() { for range maps.Clone(m) {} }", "range over a map"},
	{"no order of a map reaches an output", "peer/engine/a.go", "import \"maps\"\nvar m map[int]bool\nvar k = maps.Keys(m)", "iterator over a map"},
	{"no order of a map reaches an output", "peer/engine/a.go", "import (\"maps\"; \"slices\")\nvar m map[int]bool\nvar k = slices.Sorted(maps.Keys(m))", ""},
	{"no order of a map reaches an output", "peer/engine/a.go", "import \"example.com/x\"\nfunc f() { for range x.M {} }", "range over something of unknown type"},
	{"no order of a map reaches an output", "peer/engine/a.go", "var m map[int]bool\nfunc f() {\nfor range m {} // order does not matter: a count\n}", ""},
	{"no order of a map reaches an output", "peer/engine/a.go", "var m map[int]bool\nfunc f() {\n// order does not matter: a count\nfor range m {}\n}", ""},
	{"no order of a map reaches an output", "peer/engine/a.go", "var m map[int]bool\nfunc f() {\nfor range m {} // order does not matter:\n}", "range over a map"},
	{"no order of a map reaches an output", "peer/engine/a.go", "var s []int\nfunc f() { for range s {} }", ""},

	{"exported names are documented", "peer/a.go", "// f does.\nfunc F() {}", ""},
	{"exported names are documented", "peer/a.go", "func F() {}", "F has no comment"},
	{"exported names are documented", "peer/a.go", "type T int", "T has no comment"},
	{"exported names are documented", "peer/a.go", "type t int\nfunc (t) F() {}", ""},
	{"exported names are documented", "peer/a.go", "// T is.\ntype T[P any] struct{}\nfunc (*T[P]) F() {}", "F has no comment"},
	{"exported names are documented", "peer/a.go", "const (\nA = 1 // one\nB = 2\n)", "B has no comment"},
	{"exported names are documented", "peer/a.go", "// Numbers.\nconst (\nA = 1\nB = 2\n)", ""},

	{"tests do not sleep", "peer/a_test.go", "import \"time\"\nfunc f() { time.Sleep(1) }", "peer/a_test.go:4: a test sleeps"},
	{"tests do not sleep", "peer/a_test.go", "import \"time\"\nimport \"testing/synctest\"\nfunc f() { synctest.Test(nil, func() { time.Sleep(1) }) }", ""},
	{"tests do not sleep", "peer/a.go", "import \"time\"\nfunc f() { time.Sleep(1) }", ""},

	{"no path of a machine is committed", "docs/a.md", "see /tmp/x", "docs/a.md: holds the path /tmp/x"},
	{"no path of a machine is committed", ".ci/run", "cd '/home/me'", ".ci/run: holds the path '/home/m"},
	{"no path of a machine is committed", "docs/a.md", "https://example.com/tmp/x", ""},
}

func TestRulesCanFail(t *testing.T) {
	for _, tt := range breaches {
		text := tt.text
		if path.Ext(tt.path) == ".go" {
			text = "// Package a is.\npackage a\n" + text
		}
		t.Run(tt.rule+"/"+tt.text, func(t *testing.T) {
			found := findings(t, tt.rule, tt.path, text)
			switch {
			case tt.want == "" && len(found) > 0:
				t.Errorf("found %q, want nothing", found)
			case tt.want != "" && (len(found) != 1 || !strings.Contains(string(found[0]), tt.want)):
				t.Errorf("found %q, want one %q", found, tt.want)
			}
		})
	}
}

func TestPackageWithoutCommentIsFound(t *testing.T) {
	found := findings(t, "exported names are documented", "peer/a.go", "package peer")
	if len(found) != 1 || !strings.Contains(string(found[0]), "package peer has no comment") {
		t.Errorf("found %q", found)
	}
}

// A rule that breaches forgot would be one that may see nothing at all.
func TestEveryRuleIsBroken(t *testing.T) {
	broken := map[string]bool{}
	for _, tt := range breaches {
		broken[tt.rule] = broken[tt.rule] || tt.want != ""
	}
	for _, rule := range rules {
		if !broken[rule.name] {
			t.Errorf("no breach of the rule that %s", rule.name)
		}
	}
}

// findings holds the tree of one file to one rule.
func findings(t *testing.T, rule, path, text string) []finding {
	t.Helper()
	tree, err := readTree(fstest.MapFS{path: {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.name == rule {
			return r.check(tree)
		}
	}
	t.Fatalf("no rule %q", rule)
	return nil
}
