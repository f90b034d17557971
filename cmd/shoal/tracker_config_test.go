package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"
)

// configure reads a configuration, with flags, and returns what is told by
// both.
func configure(t *testing.T, text string, flags ...string) (*trackerRun, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tracker.toml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	r, fs := new(trackerRun), pflag.NewFlagSet("test", pflag.ContinueOnError)
	r.flags(fs)
	if err := fs.Parse(append(flags, "--config", path)); err != nil {
		t.Fatal(err)
	}
	return r, r.readFile()
}

func mustConfigure(t *testing.T, text string, flags ...string) *trackerRun {
	t.Helper()
	r, err := configure(t, text, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func printed(r *trackerRun) string {
	var b bytes.Buffer
	r.keys.print(&b, func(trackerKey) bool { return true })
	return b.String()
}

func TestConfigIsRead(t *testing.T) {
	r := mustConfigure(t, `
torrents.whitelist = "list"
[http]
listen = "127.0.0.1:1"
trusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]
proxy_header = "forwarded"
[announce]
interval = "45m"
numwant = 30
[limits]
connections_per_address = -1
[users]
ratio_free = "1GiB"
min_ratio = 1
clients = ["-TR4", '-qB']
[log]
level = "warn"
`, "--interval", "10m")
	if r.whitelist != "list" || r.http != "127.0.0.1:1" || r.trustedProxies.String() != "10.0.0.0/8,192.0.2.7/32,2001:db8::/32" ||
		r.proxyHeader.String() != "Forwarded" || r.interval.String() != "10m0s" || r.numWant != 30 || r.maxConnsPerAddr != -1 ||
		r.ratioFree != 1<<30 || r.minRatio != 1 || !slices.Equal(r.clients, []string{"-TR4", "-qB"}) || r.level() != slog.LevelWarn {
		t.Errorf("%+v", r.trackerSettings)
	}
	if err := mustConfigure(t, "[torrents]\nopen = true\n", "--whitelist", "x").check(); err != nil {
		t.Errorf("a mode on the command line: %v", err)
	}
	if err := mustConfigure(t, "[torrents]\nopen = true\n").check(); err != nil {
		t.Error(err)
	}
}

// What is wrong is named with the file and the line.
func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[http]\nlisten = \":1\"\nlisen = 1\n":              "tracker.toml:3: there is no key http.lisen; did you mean http.listen?",
		"\n[htp]\nlisten = \":1\"\n":                        "tracker.toml:2: there is no key htp; ",
		"\n\nopen = true\n":                                 "tracker.toml:3: there is no key open",
		"http = \":1\"\n":                                   "tracker.toml:1: there is no key http",
		"[http.listen]\n":                                   "tracker.toml:1: http.listen: write it in quotes",
		"[http.listen]\naddress = 1\n":                      "tracker.toml:1: http.listen: write it in quotes",
		"[[http]]\nlisten = \":1\"\n":                       "tracker.toml:1: there is no key http",
		"[announce]\ninterval = 30\n":                       `tracker.toml:2: announce.interval: write it in quotes, as on the command line: "30"`,
		"[announce]\n# a comment\ninterval = \"30\"\n":      `tracker.toml:3: announce.interval: "30" is no duration like "90s" or "1h30m"`,
		"[announce]\nnumwant = \"30\"\n":                    "tracker.toml:2: announce.numwant: write a whole number, without quotes",
		"[announce]\nnumwant = 1.5\n":                       "tracker.toml:2: announce.numwant: write a whole number",
		"[announce]\nnumwant = 99999999999999999999\n":      "tracker.toml:2: ",
		"[torrents]\nopen = 1\n":                            "tracker.toml:2: torrents.open: write true or false",
		"[users]\nratio_free = \"lots\"\n":                  "tracker.toml:2: users.ratio_free: it does not begin with a number; write a size like 16KiB or 10MB",
		"[users]\nclients = \"-TR\"\n":                      `tracker.toml:2: users.clients: write a list like ["one", "two"]`,
		"[users]\nclients = [1]\n":                          `tracker.toml:2: users.clients: write a list of strings`,
		"[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"x\"]": `tracker.toml:2: http.trusted_proxies: "x" is not a network`,
		"[http]\nproxy_header = \"X-Real-IP\"":              "tracker.toml:2: http.proxy_header: no proxy tells the client's address by",
		"[log]\nlevel = \"loud\"":                           `tracker.toml:2: log.level: "loud" is none of`,
		"[http]\nlisten = \":1\"\nlisten = \":2\"\n":        "tracker.toml:3: ",
		"a = \n": "tracker.toml:1: ",
	} {
		if _, err := configure(t, text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := configure(t, strings.Repeat("#", maxConfigLen+1)); err == nil {
		t.Error("a long file was read")
	}
	for text, want := range map[string]string{
		"[announce]\nmin_interval = \"1ms\"":                "announce.min_interval 1ms is less than a second",
		"[announce]\nnumwant = 0":                           "at least 1",
		"[limits]\nconnections = 0":                         "at least 1",
		"[limits]\nconnections_per_address = 0":             "is not 0",
		"[stop]\ndrain = \"1h\"":                            "stop.drain 1h0m0s is not a time",
		"[acme]\ndomains = [\"a\"]":                         "a certificate is for --https",
		"[tls]\nlisten = \":1\"\nacme.x = 1":                "",
		"[acme]\ndomains = [\"a\"]\n[tls]\nlisten = \":1\"": "acme.folder is missing",
	} {
		r, err := configure(t, "torrents.open = true\n"+text)
		if err == nil {
			err = r.check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is printed is read as it was, and says what every key means.
func TestPrintConfig(t *testing.T) {
	r := mustConfigure(t, `torrents.whitelist = "a \"list\" of \\ \u0007 \u202e names"
users.clients = ["-TR"]`, "--trusted-proxy", "10.0.0.1", "--trusted-proxy", "::1", "--interval", "90s")
	first := printed(r)
	if again := printed(mustConfigure(t, first)); again != first {
		t.Errorf("read again it is\n%s, before\n%s", again, first)
	}
	if strings.ContainsAny(first, "\a\u202e") {
		t.Error("a control character is printed")
	}
	out := mustSucceed(t, "tracker", "run", "--print-config")
	golden(t, "tracker.toml", out.stdout)
	lines := strings.Split(out.stdout, "\n")
	for i, line := range lines {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") && (i == 0 || !strings.HasPrefix(lines[i-1], "# ")) {
			t.Errorf("%s is not explained", line)
		}
	}
}

// Every key is in the table of the documentation, and none is there that is not
// known. No key has a secret as its value: those are in files.
func TestConfigKeysAreDocumented(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "tracker-config.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(trackerRun)
	r.flags(pflag.NewFlagSet("test", pflag.ContinueOnError))
	if want := r.keys.markdown(); !strings.Contains(string(docs), want) {
		if *update {
			begin, end := strings.Index(string(docs), "| key |"), strings.LastIndex(string(docs), "|\n")+2
			docs = []byte(string(docs)[:begin] + want + string(docs)[end:])
			if err := os.WriteFile(filepath.Join("..", "..", "docs", "tracker-config.md"), docs, 0o666); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("docs/tracker-config.md lacks the table of the keys (go test -update writes it):\n%s", want)
	}
	r.keys.file.VisitAll(func(f *pflag.Flag) {
		if _, err := findKey(f.Name); err != nil {
			t.Error(err)
		}
	})
}

// markdown is the table of the documentation.
func (k keySet) markdown() string {
	var b strings.Builder
	b.WriteString("| key | default | |\n|---|---|---|\n")
	for _, key := range trackerKeys {
		about := strings.ReplaceAll(k.about(key), "|", `\|`)
		b.WriteString("| `" + key.name + "` | `" + tomlValue(k.of(key).Value) + "` | " + about + " |\n")
	}
	return b.String()
}

// "tracker init" writes a configuration that runs.
func TestInitWritesAConfig(t *testing.T) {
	db := filepath.Join(t.TempDir(), "tracker.db")
	r := mustSucceed(t, "tracker", "init", "--db", db, "--url", "https://tracker.example")
	path := filepath.Join(filepath.Dir(db), "tracker.toml")
	if !strings.Contains(r.stdout, path) {
		t.Error(r.stdout)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	set := mustConfigure(t, string(text))
	if err := set.check(); err != nil || !set.private || set.db != db {
		t.Errorf("%v, %+v", err, set.privateFlags)
	}
	commented := mustConfigure(t, strings.ReplaceAll(string(text), "\n# interval = \"30m0s\"", "\ninterval = \"5m\""))
	if commented.interval.Minutes() != 5 {
		t.Errorf("interval %v", commented.interval)
	}
	tracker := start(t, "tracker", "run", "--config", path, "--http", "127.0.0.1:0")
	tracker.addr(t, "tracker")
	tracker.stop()
}

// What is reloaded is what flags and the file say by then; some keys wait for a
// restart.
func TestReloadKeepsWhatNeedsARestart(t *testing.T) {
	r := mustConfigure(t, "torrents.open = true\nannounce.interval = \"10m\"\nhttp.listen = \":1\"\n", "--quiet", "--trusted-proxy", "10.0.0.0/8")
	text := "torrents.blacklist = \"x\"\nannounce.interval = \"20m\"\nhttp.listen = \":2\"\nlimits.peers = 5\nhttp.trusted_proxies = []\n"
	if err := os.WriteFile(r.config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	next, fixed, err := r.again()
	if err != nil || !slices.Equal(fixed, []string{"http.listen", "limits.peers"}) {
		t.Fatalf("%v, %v", fixed, err)
	}
	if next.open || next.blacklist != "x" || next.interval.Minutes() != 20 || next.http != ":1" || !next.isQuiet ||
		next.trustedProxies.String() != "10.0.0.0/8" || next.maxPeers != r.maxPeers {
		t.Errorf("%+v", next.trackerSettings)
	}
	if err := os.WriteFile(r.config, []byte("torrents.private = true\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	next, fixed, err = next.again()
	if err != nil || next.private || next.blacklist != "x" || !slices.Contains(fixed, "torrents.private") {
		t.Errorf("private: %v, %v, %+v", fixed, err, next)
	}
}

// FuzzConfig: whatever is in the file, no panic, and what is read can be
// printed and read again.
func FuzzConfig(f *testing.F) {
	f.Add("[http]\nlisten = \":1\"\ntrusted_proxies = [\"::1\"]\n")
	f.Add("[announce.interval]\nx.y = 1\n[[users]]\n")
	f.Add("users = {clients = [\"\\u0000\"], database = '''\n'''}")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := configure(t, text)
		if err != nil {
			return
		}
		again, err := configure(t, printed(r))
		if err != nil || printed(again) != printed(r) {
			t.Errorf("%v\n%s", err, printed(r))
		}
	})
}

// TestTOMLText: what is written reads as it was, on one line that no terminal obeys.
func TestTOMLText(t *testing.T) {
	for _, text := range []string{"", `a "b" \c`, "two\nlines\ttab", "\x00\x1b[31m\x7f", "\u009b31m\u202e\u2028", "naïve ☂", `C:\new\U0001`} {
		written := tomlText([]string{text, "end"})
		for _, r := range written {
			if r < ' ' || r == 0x7f || doesNotPrint(r) {
				t.Errorf("%q is written with %U: %q", text, r, written)
			}
		}
		var read struct{ Key []string }
		if _, err := toml.Decode("key = "+written, &read); err != nil || !slices.Equal(read.Key, []string{text, "end"}) {
			t.Errorf("%q is written as %s, which reads as %q, %v", text, written, read.Key, err)
		}
	}
}
