//go:build unix

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// hostileScenarios are files that no run may come of, and what is told of each.
func hostileScenarios() map[string][2]string {
	with := func(old, text string) string { return strings.Replace(tinyScenario, old, text, 1) }
	const cdn = "[[system]]\nkind = \"cdn\"\nedges = 2\nedge_up = \"1MB/s\"\n"
	return map[string][2]string{
		"empty":      {"", "content.length is missing"},
		"binary":     {"\x7fELF\x02\x01\x01\x00", "binary.toml:1: not TOML: "},
		"utf-8":      {tinyScenario + "shows = \"\xff\"\n", "utf-8.toml:10: not TOML: invalid UTF-8"},
		"utf-16":     {"\xff\xfet\x00i\x00", "utf-16.toml:1: not TOML: "},
		"long":       {tinyScenario + "#" + strings.Repeat("x", 8<<20), "long.toml: it is longer than 256 KiB"},
		"deep":       {"title = " + strings.Repeat("[", 100_000), "deep.toml:1: tables and lists are nested more than 8 deep"},
		"twice":      {with("demand.peers = 6", "demand.peers = 6\ndemand.peers = 7"), "twice.toml:6: not TOML: Key 'demand.peers' has already been defined"},
		"nan":        {tinyScenario + "share = nan\n", "nan.toml:10: class[0].share = NaN: it must be from 0.000001 to 1000000"},
		"infinite":   {tinyScenario + "nat = -inf\n", "infinite.toml:10: class[0].nat = -Inf: it must be from 0 to 1"},
		"e300":       {tinyScenario + "share = 1e300\n", "e300.toml:10: class[0].share = 1e+300: it must be"},
		"negative":   {with("peers = 6", "peers = -6"), "negative.toml:5: demand.peers = -6: it must be from 1"},
		"integer":    {with("peers = 6", "peers = 99999999999999999999"), "integer.toml:5: not TOML: 99999999999999999999 is out of range"},
		"nothing":    {with(`"1MiB"`, `"0MiB"`), `nothing.toml:2: content.length = "0MiB": it must be from 1 to 16TiB`},
		"everything": {with(`"1MiB"`, `"99999999999999999999TiB"`), `everything.toml:2: content.length = "99999999999999999999TiB": it is too large`},
		"class":      {with("[[class]]", "[[class]]\n[[class]]"), "class.toml:6: class[0].name is missing"},
		"classes":    {"class = []\n" + tinyScenario[:strings.Index(tinyScenario, "[[")], "classes.toml:1: there is no [[class]]; describe at least one"},
		"kind":       {tinyScenario + "[[system]]\nkind = \"teleport\"\n", `kind.toml:11: system[0].kind = "teleport": write one of "swarm", `},
		"faults":     {tinyScenario + cdn + strings.Repeat("[[fault]]\ntier = \"edge\"\nat = \"1s\"\n", 1001), "faults.toml:14: there are 1001 [[fault]]; at most 1000 are allowed"},
		"routes":     {tinyScenario + cdn + "routing = \"anycast\"\n[[region]]\nname = \"eu\"\n" + strings.Repeat("[[fault]]\nkind = \"route\"\nregion = \"eu\"\nat = \"1s\"\n", 2), "routes.toml:24: another [[fault]] leads the clients of \"eu\" elsewhere at that time"},
		"pushed":     {with(`"1MiB"`, "\"64GiB\"\ncontent.count = 1000") + "[[system]]\nkind = \"cdn\"\nedges = 2\nedge_up = \"1MB/s\"\npush = true\nslice = \"1MiB\"\n", "pushed.toml:16: its caches may come to hold 131 million slices"},
		"terminal":   {with("Tiny", `\u001b]0;x\u0007`), `terminal.toml:1: title = "\x1b]0;x\a": it holds U+001B, which does not print`},
		"elsewhere":  {with("demand.peers = 6", "demand.arrivals = \"trace\"\ndemand.trace = \"/dev/zero\""), "elsewhere.toml:6: "},
		"waiting":    {with("demand.peers = 6", "demand.arrivals = \"trace\"\ndemand.trace = \"pipe\""), "waiting.toml:6: pipe is no file"},
	}
}

// TestHostileScenarios: each is refused by each command, with its file and line where there is one, before anything
// is written.
func TestHostileScenarios(t *testing.T) {
	inLab(t)
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Skip(err)
	}
	wanted := map[string]string{"pipe": "pipe is no file", "/dev/zero": "/dev/zero is no file", ".": ". is no file"}
	for name, file := range hostileScenarios() {
		writeFiles(t, ".", map[string]string{name + ".toml": file[0]})
		wanted[name+".toml"] = file[1]
	}
	for file, want := range wanted {
		for _, args := range []string{"run", "compare tiny.toml", "sweep --set seed=1,2"} {
			r := shoal(t, append(append([]string{"swarm"}, strings.Fields(args)...), file, "--out", "out")...)
			if r.code != exitUsage || !strings.Contains(r.stderr, want) || len(r.stderr) > 3000 || r.stdout != "" {
				t.Errorf("%s %s: exit %d, %.1000s\nwant %s", args, file, r.code, r.stderr, want)
			}
		}
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("something was written")
	}
}
