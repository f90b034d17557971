package scenario

import (
	"bytes"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// minimal is the shortest scenario.
const minimal = `title = "Minimal"
[content]
length = "1MiB"
[origin]
up = "6000kbit/s"
[demand]
peers = 10
[[class]]
name = "dsl"
up = "400kbit/s"
down = "1500kbit/s"
`

// minimalResolved is what the defaults make of it.
const minimalResolved = `title = "Minimal"
shows = ""
description = ""

[content]
length = "1MiB"
piece_length = "256KiB"
count = 1
zipf = 0.8

[origin]
count = 1
up = "6000kbit/s"
down = "unlimited"
leave = "never"

[demand]
peers = 10
arrivals = "at-once"

[network]
model = "constant"
latency = "25ms"
slow_start = false

[engine]
picker = "rarest"
choking = true
endgame = true
max_peers = 80

[http]
pipeline = 4
handshakes = 2
window = "unlimited"
timeout = "3s"
retry = "1s"
retry_most = "1m"

[tracker]
interval = "30m"

[dht]
nodes = 200
routers = 4

[samples]
every = "10s"

[limits]
time = "168h"
patience = "1h"

[prices]
currency = "USD"
origin = 0.0
parent = 0.0
edge = 0.0
proxy = 0.0

[[class]]
name = "dsl"
share = 1.0
up = "400kbit/s"
down = "1500kbit/s"
nat = 0.0
free_rider = false
seed_for = "forever"
seed_times = "fixed"
give_up = "never"

[[system]]
kind = "swarm"
name = "swarm"
tracker = true
dht = false
pex = false

[[system]]
kind = "origin"
name = "origin"
`

func parse(text string, set ...string) (*Scenario, error) {
	dir := fstest.MapFS{
		"pipe.csv":  {Mode: fs.ModeNamedPipe},
		"trace.csv": {Data: []byte("join,class,stay\n0,dsl,\n1.5,dsl,3600\n")},
	}
	return Source{File: "test.toml", Data: []byte(text), Dir: dir, Set: set}.Parse()
}

func mustParse(t *testing.T, text string, set ...string) *Scenario {
	t.Helper()
	s, err := parse(text, set...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaultsAreResolved(t *testing.T) {
	s := mustParse(t, minimal)
	if got := string(s.TOML()); got != minimalResolved {
		t.Errorf("resolved:\n%s\nwant:\n%s", got, minimalResolved)
	}
	again := mustParse(t, minimalResolved)
	if !reflect.DeepEqual(s, again) {
		t.Errorf("the canonical form reads as %+v, want %+v", again, s)
	}
	if s.Name != "test" || s.Seed != 1 || s.Replicas != 1 || s.Origin.Up != 750_000 || s.Classes[0].GiveUp != Forever {
		t.Errorf("read %+v", s)
	}
}

func TestHashIsOfTheExperiment(t *testing.T) {
	s := mustParse(t, minimal)
	if other := mustParse(t, minimal, "seed=7", "replicas=3", "content.length=1024KiB"); other.Hash() != s.Hash() {
		t.Error("seed, replicas or a spelling changed the hash")
	}
	if other := mustParse(t, minimal, "demand.peers=11"); other.Hash() == s.Hash() {
		t.Error("another number of peers did not change the hash")
	}
}

// TestTableFitsTheStructs holds the table of keys to the fields that it fills.
func TestTableFitsTheStructs(t *testing.T) {
	var check func(at string, table *table, typ reflect.Type)
	check = func(at string, table *table, typ reflect.Type) {
		var fields []string
		for i := range typ.NumField() {
			if tag := typ.Field(i).Tag.Get("toml"); tag != "" {
				fields = append(fields, tag)
			}
		}
		names := table.names()
		slices.Sort(fields)
		slices.Sort(names)
		if !slices.Equal(fields, names) {
			t.Errorf("[%s]: the keys are %v, the fields %v", at, names, fields)
			return
		}
		for i := range table.keys {
			k := &table.keys[i]
			field := fieldOf(reflect.New(typ).Elem(), k)
			switch {
			case k.kind == aTable:
				check(k.name, k.table, field.Type())
				continue
			case k.kind == tables:
				check(k.name, k.table, field.Type().Elem())
				continue
			case k.doc == "":
				t.Errorf("[%s] %s is not documented", at, k.name)
			case k.max <= k.min && k.kind != word && k.kind != name && k.kind != boolean && k.max != k.min:
				t.Errorf("[%s] %s has no bounds", at, k.name)
			}
			if k.def == nil {
				continue
			}
			v, err := k.parse(k.def)
			if err != nil || !reflect.TypeOf(v).ConvertibleTo(field.Type()) {
				t.Errorf("[%s] %s: the default %v is no default for a %v: %v", at, k.name, k.def, field.Type(), err)
			}
		}
	}
	check("", &file, reflect.TypeFor[Scenario]())
}

// with returns minimal with text in the place of old.
func with(t *testing.T, old, text string) string {
	t.Helper()
	if !strings.Contains(minimal, old) {
		t.Fatalf("minimal has no %q", old)
	}
	return strings.Replace(minimal, old, text, 1)
}

func TestMistakes(t *testing.T) {
	const up = `up = "400kbit/s"`
	for _, tt := range []struct{ old, text, want string }{
		{`title = "Minimal"`, ``, `test.toml: title is missing; write title = a text in quotes`},
		{`title = "Minimal"`, `title = "Minimal`, `test.toml:1: not TOML`},
		{`title = "Minimal"`, `title = 5`, `test.toml:1: title = 5: write a text in quotes`},
		{`title = "Minimal"`, "title = \"a\\u001b[31m\"", `test.toml:1: title = "a\x1b[31m": it holds U+001B, which does not print`},
		{`title = "Minimal"`, "title = \"M\"\nsedd = 3", `test.toml:2: there is no key "sedd" at the top level; did you mean "seed"?`},
		{`title = "Minimal"`, "title = \"M\"\nseed = -3", `test.toml:2: seed = -3: it must be from 0 to`},
		{`[content]`, `[contents]`, `test.toml:2: there is no key "contents" at the top level; did you mean "content"?`},
		{`length = "1MiB"`, `lenght = "1MiB"`, `test.toml:3: there is no key "lenght" in [content]; did you mean "length"?`},
		{`length = "1MiB"`, `length = 1048576`, `test.toml:3: content.length = 1048576: write a size in quotes, like "100MiB"`},
		{`length = "1MiB"`, `length = "1Mib"`, `test.toml:3: content.length = "1Mib": unit "Mib" is not known`},
		{`length = "1MiB"`, `length = "1MiB/s"`, `test.toml:3: content.length = "1MiB/s": unit "MiB/s" is not known`},
		{`length = "1MiB"`, `length = "0"`, `test.toml:3: content.length = "0": it must be from 1 to 16TiB`},
		{`length = "1MiB"`, `length = "17TiB"`, `test.toml:3: content.length = "17TiB": it must be from 1 to 16TiB`},
		{`length = "1MiB"`, "length = \"1MiB\"\npiece_length = \"100KiB\"", `test.toml:4: 102400 is not a power of two`},
		{`length = "1MiB"`, "length = \"1TiB\"", `test.toml:2: that makes 4194304 pieces; at most 1048576 are allowed`},
		{`length = "1MiB"`, "length = \"1MiB\"\ncount = 10001", `test.toml:4: in a swarm each of them is a torrent of each seed of the origin: 10001 in all`},
		{`[content]`, "content = 3\n[tracker]", `test.toml:2: content = 3: write a table: [content]`},
		{`up = "6000kbit/s"`, `up = "0"`, `test.toml:5: origin.up = "0": 0 is not a rate; write "unlimited"`},
		{`up = "6000kbit/s"`, `up = "6000kbps"`, `test.toml:5: origin.up = "6000kbps": unit "kbps" is not known`},
		{`up = "6000kbit/s"`, `region = "eu"`, `test.toml:4: origin.up is missing; write up = a rate in quotes`},
		{`up = "6000kbit/s"`, "up = \"6000kbit/s\"\nregion = \"eu\"", `test.toml:6: there is no [[region]] with the name "eu"`},
		{`peers = 10`, `peers = 0`, `test.toml:7: demand.peers = 0: it must be from 1 to 1048576`},
		{`peers = 10`, `peers = 10.5`, `test.toml:7: demand.peers = 10.5: write a whole number`},
		{`peers = 10`, ``, `test.toml:6: how many come? write demand.peers`},
		{`peers = 10`, "peers = 10\narrivals = \"often\"", `test.toml:8: demand.arrivals = "often": write one of "at-once", "window"`},
		{`peers = 10`, "peers = 10\narrivals = \"poisson\"", `test.toml:6: demand.rate is missing; write rate = how many in a time`},
		{`peers = 10`, "peers = 10\nrate = \"10/s\"", `test.toml:8: rate has a meaning only with arrivals = "poisson", "decaying", "on-off"; take it out`},
		{`peers = 10`, "peers = 10\narrivals = \"poisson\"\nrate = \"10\"", `test.toml:9: demand.rate = "10": write how many in a time`},
		{`peers = 10`, "peers = 10\narrivals = \"poisson\"\nrate = \"NaN/s\"", `test.toml:9: demand.rate = "NaN/s": it must be from one a year to 1e+06/s`},
		{`peers = 10`, "peers = 10\narrivals = \"window\"\nwindow = \"90\"", `test.toml:9: demand.window = "90": write a duration in quotes, like "90s" or "1h30m"`},
		{`peers = 10`, "peers = 10\narrivals = \"window\"\nwindow = \"1000000h\"", `it must be from 1ms to 87600h`},
		{`peers = 10`, "arrivals = \"trace\"\ntrace = \"none.csv\"", `none.csv: file does not exist; name a file in the folder`},
		{`peers = 10`, "arrivals = \"trace\"\ntrace = \"pipe.csv\"", `test.toml:8: pipe.csv is no file; name a file in the folder`},
		{`peers = 10`, "arrivals = \"trace\"\ntrace = \"../trace.csv\"", `trace.csv: file does not exist; name a file in the folder`},
		{`peers = 10`, "arrivals = \"trace\"\ntrace = \"trace.csv\"\npeers = 3", `test.toml:7: the trace says who comes`},
		{`peers = 10`, "arrivals = \"trace\"\ntrace = \"trace.csv\"\ntrace_sha256 = \"00\"", `test.toml:9: the trace has another one, `},
		{`name = "dsl"`, `name = "../dsl"`, `test.toml:9: class[0].name = "../dsl": a name begins with a letter or digit`},
		{up, up + "\ncount = 5", `test.toml:7: both demand.peers and the count of a class`},
		{up, up + "\nshare = -1", `test.toml:11: class[0].share = -1: it must be from 0.000001`},
		{up, up + "\nnat = 1.5", `test.toml:11: class[0].nat = 1.5: it must be from 0 to 1`},
		{up, up + "\nnat = nan", `test.toml:11: class[0].nat = NaN: it must be from 0 to 1`},
		{up, up + "\nfree_rider = \"yes\"", `test.toml:11: class[0].free_rider = "yes": write true or false`},
		{up, up + "\nseed_for = \"never\"", `class[0].seed_for = "never": write a duration in quotes, like "90s" or "1h30m", or "forever"`},
		{up, up + "\nseed_times = \"exponential\"", `"exponential" needs a seed_for that can be a mean`},
		{up, up + "\nisp = \"a\"", `test.toml:11: there is no [[isp]] with the name "a"`},
		{"[[class]]", "[class]", `test.toml:8: class = {...}: write one or more tables: [[class]]`},
		{"[[class]]", "[[class]]\nname = \"dsl\"\nup = \"1MB/s\"\ndown = \"1MB/s\"\nshare = 1\n[[class]]\nshare = 1", `test.toml:15: there are two [[class]] with the name "dsl"`},
		{"[[class]]", "[[class]]\nname = \"a\"\nup = \"1MB/s\"\ndown = \"1MB/s\"\n[[class]]\nshare = 1", `some classes have no share`},
		{"[demand]", "[samples]\nevery = \"1ms\"\n[demand]", `test.toml:7: that may be more than 1000000 samples`},
		{"[demand]", "[network]\nmodel = \"matrix\"\n[demand]", `test.toml:7: "matrix" needs at least one [[region]]`},
		{"[demand]", "[network]\nmodel = \"matrix\"\n[[region]]\nname = \"eu\"\nlatency = [\"1ms\", \"2ms\"]\n[demand]", `test.toml:10: it has 2 latencies; write one for each of the 1 regions`},
		{"[demand]", "[network]\nmodel = \"matrix\"\n[[region]]\nname = \"eu\"\nlatency = [\"1ms\", \"2ms\"]\n[[region]]\nname = \"us\"\nlatency = [\"3ms\", \"1ms\"]\n[demand]", `test.toml:13: from "us" to "eu" it is 3ms, and back 2ms`},
		{"[demand]", "[network]\nmodel = \"matrix\"\n[[region]]\nname = \"eu\"\nlatency = [3]\n[demand]", `test.toml:10: region[0].latency = [...]: write a list of durations`},
		{"[demand]", "[[region]]\nname = \"eu\"\nat = [\"3ms\", \"1ms\"]\n[demand]", `at and spread have a meaning only with network.model = "coordinates"`},
		{"[demand]", "[network]\nmodel = \"coordinates\"\n[[region]]\nname = \"eu\"\n[demand]", `write where the region is: at = ["30ms", "12ms"]`},
		{"[demand]", "[[region]]\nname = \"eu\"\nshare = 0\n[demand]", `test.toml:8: the shares of all regions are 0`},
		{"[demand]", "[[system]]\nkind = \"p2p\"\n[demand]", `test.toml:7: system[0].kind = "p2p": write one of "swarm"`},
		{"[demand]", "[[system]]\nkind = \"swarm\"\n[[system]]\nkind = \"swarm\"\n[demand]", `test.toml:8: there are two [[system]] with the name "swarm"`},
		{"[demand]", "[[system]]\nkind = \"cdn\"\nedges = 3\n[demand]", `test.toml:6: system[0].edge_up is missing`},
		{"[demand]", "[[system]]\nkind = \"swarm\"\nedges = 3\n[demand]", `test.toml:8: edges has a meaning only with kind = "cdn"; take it out`},
		{"[demand]", "[[system]]\nkind = \"cache\"\nproxy_up = \"1MB/s\"\ndisk = \"10KiB\"\n[demand]", `test.toml:9: it is smaller than one slice`},
		{"[demand]", "[[fault]]\ntier = \"edge\"\nat = \"1m\"\n[demand]", `no system has a server 0 of the tier "edge"`},
		{"[demand]", "[[fault]]\nkind = \"crash\"\nat = \"1m\"\nclass = \"x\"\n[demand]", `test.toml:9: there is no [[class]] with the name "x"`},
		{"[demand]", "[[fault]]\nkind = \"crash\"\nat = \"1m\"\nregion = \"x\"\n[demand]", `test.toml:9: there is no [[region]] with the name "x"`},
		{"[demand]", "[[fault]]\nkind = \"partition\"\nat = \"1m\"\n[demand]", `test.toml:7: a partition has two sides`},
		{"[demand]", "[[fault]]\nkind = \"tracker\"\nat = \"1m\"\nclass = \"x\"\n[demand]", `test.toml:9: class has a meaning only with kind = "crash", "partition"`},
		{"[demand]", "[[fault]]\nkind = \"tracker\"\nat = \"1m\"\n[[system]]\nkind = \"origin\"\n[demand]", `test.toml:7: a fault of the kind "tracker" is for a swarm`},
		{"[demand]", "[[fault]]\nkind = \"web-seed-lies\"\nat = \"1m\"\n[demand]", `test.toml:7: a fault of the kind "web-seed-lies" is for web seeds, and no [[system]] is of the kind "hybrid"`},
		{"[demand]", "[[system]]\nkind = \"hybrid\"\nweb_edges = 2\n[[fault]]\nkind = \"web-seed-down\"\nserver = 2\nat = \"1m\"\n[demand]", `test.toml:11: no system has a web seed 2`},
		{"[demand]", "[[system]]\nkind = \"hybrid\"\n[[fault]]\nkind = \"web-seed-busy\"\nretry_after = \"1500ms\"\nat = \"1m\"\n[demand]", `test.toml:10: HTTP has whole seconds for it`},
		{"[demand]", "[[system]]\nkind = \"hybrid\"\n[[fault]]\nkind = \"web-seed-down\"\nretry_after = \"1s\"\nat = \"1m\"\n[demand]", `test.toml:10: retry_after has a meaning only with kind = "web-seed-busy"`},
		{"[demand]", "[[fault]]\nkind = \"tracker\"\nat = \"1m\"\n[[system]]\nkind = \"swarm\"\ntracker = false\ndht = true\n[demand]", `test.toml:7: no [[system]] has a tracker that could fail`},
		{"[demand]", "[[system]]\nkind = \"swarm\"\ntracker = false\npex = true\n[demand]", `test.toml:8: with neither a tracker nor a DHT no client finds the seed, or another one, and the run would never end`},
		{"[demand]", "[[system]]\nkind = \"hybrid\"\ntracker = false\nforeign = 3\n[demand]", `test.toml:9: it is what the tracker does, and there is none`},
		{"[demand]", "[[system]]\nkind = \"origin\"\ndht = true\n[demand]", `test.toml:8: dht has a meaning only with kind = "swarm", "hybrid"`},
		{"[demand]", "[dht]\nnodes = 0\n[demand]", `test.toml:7: dht.nodes = 0: it must be from 1 to 100000`},
		{"[demand]", "[dht]\nnodes = 3\n[demand]", `test.toml:6: routers are among the dht.nodes, of which there are 3`},
		{"[demand]", "[network]\nloss = 0.9\n[demand]", `test.toml:7: network.loss = 0.9: it must be from 0 to 0.5`},
	} {
		_, err := parse(with(t, tt.old, tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\nerror: %v\nwant:  %s", tt.text, err, tt.want)
		}
	}
}

func TestSeveralMistakesAreTold(t *testing.T) {
	_, err := parse(strings.NewReplacer(`"1MiB"`, "1", "peers = 10", "peers = \"ten\"").Replace(minimal))
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 || all[0].Line != 3 || all[1].Line != 7 {
		t.Errorf("got %v", err)
	}
	_, err = parse(minimal + strings.Repeat("[[class]]\nx = 1\n", 30))
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Errorf("got %d errors", len(all))
	}
}

// TestLines has every form in which TOML has keys.
func TestLines(t *testing.T) {
	const text = `# [comment] "quote
title = """
several [lines]
of "text" \""""
'shows' = 'x # y'
content.length = "1MiB" # dotted
content . "piece_length" = '''
16KiB'''

[ origin ]
up = "1MB/s"

[[class]]
name = "a"

[[class]]
name = "b"
class = [ # a list
  { up = [1,
    2], x = "}" },
  { down = 3 },
]
`
	lines, _, err := findLines(text)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"title": 2, "shows": 5, "content.length": 6, "content.piece_length": 7, "origin": 10, "origin.up": 11,
		"class": 13, "class[0]": 13, "class[0].name": 14, "class[1]": 16, "class[1].name": 17,
		"class[1].class": 18, "class[1].class[0].up": 19, "class[1].class[0].x": 20, "class[1].class[1].down": 21,
	} {
		if lines[path] != want {
			t.Errorf("%s: line %d, want %d", path, lines[path], want)
		}
	}
}

func TestSet(t *testing.T) {
	s := mustParse(t, minimal, "content.length=2MiB", "class.dsl.up=1Mbit/s", "class.0.down=unlimited", "engine.choking=false", "class.dsl.nat=.5", "demand.arrivals=window", "demand.window=10s")
	c := s.Classes[0]
	if s.Content.Length != 2<<20 || c.Up != 125_000 || c.Down != Unlimited || s.Engine.Choking || c.NAT != .5 || s.Demand.Window != 10*time.Second {
		t.Errorf("read %+v", s)
	}
	for set, want := range map[string]string{
		"length":               `--set length: write KEY=VALUE`,
		"length=3":             `there is no key "length"; there are title, `,
		"class=3":              `write one or more tables`,
		"class.dsl=3":          `class[0] is a table; name one of its keys: name, `,
		"class.ftth.up=1MB/s":  `there is no class "ftth"; the file has "dsl"`,
		"content=3":            `write a table`,
		"content.length.x=3":   `content.length is no table`,
		"engine.choking=maybe": `write true or false`,
		"demand.peers=many":    `write a whole number`,
		"content.length=many":  `--set content.length=many: content.length = "many": it does not begin with a number`,
		"demand.window=10s":    `--set demand.window=10s: window has a meaning only with arrivals = "window"`,
	} {
		if _, err := parse(minimal, set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", set, err, want)
		}
	}
}

func TestTrace(t *testing.T) {
	s := mustParse(t, with(t, "peers = 10", "arrivals = \"trace\"\ntrace = \"trace.csv\""))
	want := []Arrival{{Stay: Forever}, {Join: 1500 * time.Millisecond, Stay: time.Hour}}
	if !slices.Equal(s.Trace, want) || s.NumPeers() != 2 || len(s.Demand.TraceSHA256) != 64 {
		t.Errorf("read %+v", s)
	}
	if again := mustParse(t, string(s.TOML())); !reflect.DeepEqual(again, s) {
		t.Errorf("the canonical form reads as %+v, want %+v", again, s)
	}
	for text, want := range map[string]string{
		"":                        `t.csv:1: its first line names the columns`,
		"join\n":                  `t.csv: nobody arrives`,
		"class\ndsl\n":            `t.csv:1: the column "join" is missing`,
		"join,up\n":               `t.csv:1: there is no column "up"; there are join, `,
		"join,join\n":             `t.csv:1: the column "join" is there twice`,
		"join\n1\n# x\nsoon\n":    `t.csv:4: "soon" is not a time in seconds`,
		"join\n-1\n":              `t.csv:2: "-1" is not a time`,
		"join\nNaN\n":             `t.csv:2: "NaN" is not a time`,
		"join\n1e99\n":            `t.csv:2: "1e99" is not a time`,
		"join,class\n1,ftth\n":    `t.csv:2: there is no class "ftth"`,
		"join,class\n1\n":         `t.csv:2: wrong number of fields`,
		"join,content\n1,1\n":     `t.csv:2: content "1" is not a number from 0 to 0`,
		"join\n\"1\n":             `t.csv:2: extraneous or missing " in quoted-field`,
		"join,stay\n1,\n2,-0.5\n": `t.csv:3: "-0.5" is not a time`,
	} {
		_, err := parseTrace("t.csv", []byte(text), s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestHostileFiles are those that want time, memory or the stack.
func TestHostileFiles(t *testing.T) {
	for what, text := range map[string]string{
		"lists":         "title = " + strings.Repeat("[", 200_000),
		"inline tables": "title = " + strings.Repeat("{a=", 80_000),
		"dots":          strings.Repeat("a.", 100_000) + "b = 1",
		"header":        "[" + strings.Repeat("a.", 100_000) + "b]",
		"quoted dots":   strings.Repeat(`"".`, 60_000) + "b = 1",
		"long":          strings.Repeat("#\n", maxFileLen),
		"classes":       minimal + strings.Repeat("[[class]]\n", 20_000),
		"unclosed":      `title = """` + strings.Repeat(`"\`, 50_000),
		"nul":           strings.Repeat("\x00", 1000),
		"peers":         strings.Replace(minimal, "10", "1000000", 1) + "[system]",
		"engines":       strings.NewReplacer("10\n", "1000000\n", "1MiB", "1KiB").Replace(minimal),
		"blocks":        strings.NewReplacer("10\n", "100000\n", "1MiB", "16GiB").Replace(minimal),
		"bitfields":     strings.NewReplacer("10\n", "100000\n", `"1MiB"`, "\"4GiB\"\npiece_length = \"16KiB\"").Replace(minimal),
	} {
		start := time.Now()
		_, err := parse(text)
		if err == nil || len(err.Error()) > 4000 {
			t.Errorf("%s: the error is %.200v", what, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(minimalResolved))
	f.Add([]byte(strings.Replace(minimal, "peers = 10", "peers = 9\narrivals = \"decaying\"\nrate = \"10/h\"\ndecay = \"1h\"", 1)))
	f.Add([]byte(strings.Replace(minimal, "peers = 10", "arrivals = \"trace\"\ntrace = \"trace.csv\"", 1)))
	f.Add([]byte(minimal + "[network]\nmodel = \"matrix\"\n[[region]]\nname = \"eu\"\nlatency = [\"1ms\"]\n[[isp]]\nname = \"a\"\nregion = \"eu\"\n"))
	f.Add([]byte(minimal + "[[system]]\nkind = \"cdn\"\nedges = 2\nedge_up = \"1MB/s\"\nmin_share = \"1kB/s\"\n[[system]]\nkind = \"cache\"\nproxy_up = \"1MB/s\"\n[[fault]]\ntier = \"edge\"\nat = \"1m\"\n"))
	f.Add([]byte(world))
	for _, fault := range []string{
		"tier = \"origin\"\n", "tier = \"mirror\"\nserver = 2\nfor = \"1m\"\n", "kind = \"crash\"\nclass = \"dsl\"\npart = 0.5\n",
		"kind = \"tracker\"\nfor = \"10m\"\n", "kind = \"partition\"\nisp = \"a\"\n", "kind = \"route\"\nregion = \"us\"\nserver = 1\n",
	} {
		f.Add([]byte(world + "[[system]]\nkind = \"swarm\"\n[[fault]]\nat = \"3s\"\n" + fault))
	}
	f.Add([]byte("class = [{name='a'}, {name=\"b\"}]\ncontent.length = '''1'''\n\"a\".b = [[1]]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse(string(data))
		if err != nil {
			return
		}
		once := s.TOML()
		again, err := parse(string(once))
		if err != nil {
			t.Fatalf("the canonical form is refused: %v\n%s", err, once)
		}
		if twice := again.TOML(); !bytes.Equal(once, twice) {
			t.Errorf("the canonical form changed from\n%s\nto\n%s", once, twice)
		}
	})
}

func FuzzSet(f *testing.F) {
	for _, set := range []string{"content.length=2MiB", "class.dsl.up=1Mbit/s", "class.0=", "region.0.latency=[\"1ms\"]", "network.model=matrix", "seed", "=", "...=.", "class.-1.up=1", "origin.queue=none", "http.window=64KiB"} {
		f.Add(set)
	}
	f.Fuzz(func(t *testing.T, set string) {
		if s, err := parse(minimal, set); err == nil {
			mustParse(t, string(s.TOML()))
		}
	})
}

func FuzzTrace(f *testing.F) {
	s, err := parse(minimal)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("join,class,content,stay\n0,dsl,0,\n# x\n1e3,\"dsl\",0,60\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		arrivals, err := parseTrace("t.csv", data, s)
		for _, a := range arrivals {
			if err != nil || a.Class != 0 || a.Content != 0 || a.Join < 0 || a.Stay < 0 {
				t.Errorf("%+v, %v", a, err)
			}
		}
	})
}
