package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
)

func TestHelpTexts(t *testing.T) {
	golden(t, "help/shoal.txt", mustSucceed(t).stdout)
	for _, c := range withSubs(commands()) {
		t.Run(c.name, func(t *testing.T) {
			words := strings.Fields(c.name)
			byFlag := mustSucceed(t, append(words, "--help")...)
			byCommand := mustSucceed(t, append([]string{"help"}, words...)...)
			if byFlag != byCommand {
				t.Errorf("\"%s --help\" and \"help %s\" differ", c.name, c.name)
			}
			golden(t, "help/"+strings.Join(words, "-")+".txt", byFlag.stdout)
		})
	}
}

func TestOverviewIsReachedInEveryWay(t *testing.T) {
	want := mustSucceed(t)
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}, {"help", "help"}, {"help", "--help"}} {
		if got := mustSucceed(t, args...); got != want {
			t.Errorf("shoal %s answers\n%s", strings.Join(args, " "), got.stdout)
		}
	}
}

func TestEveryCommandHasAWorkedExample(t *testing.T) {
	for _, c := range withSubs(commands()) {
		if !strings.Contains(c.example, "shoal "+c.name) {
			t.Errorf("%s: the example does not run it: %q", c.name, c.example)
		}
		if c.summary == "" || strings.HasSuffix(c.summary, ".") {
			t.Errorf("%s: summary %q", c.name, c.summary)
		}
	}
}

// usageErrors are command lines that must end with exit code 2 and one line
// that contains want.
var usageErrors = []struct{ args, want string }{
	{"crate", `there is no command "crate"; did you mean "create"?`},
	{"halp", `did you mean "help"?`},
	{"frobnicate", `there is no command "frobnicate" (see "shoal help")`},
	{"--json get", `a command comes before its flags`},
	{"help --nothing-like-it", `it has no flag --nothing-like-it`},
	{"help nothing-like-it", `there is no command "nothing-like-it"`},

	{"create --announce tracker a", `"tracker" is not a tracker's URL such as`},
	{"create --announce ftp://tracker.example/ a", `is not a tracker's URL`},
	{"create --announce udp://tracker.example:99999 a", `is not a tracker's URL`},
	{"create --web-seed udp://server.example a", `is not a web seed's URL such as`},
	{"create --node router.example a", `DHT node "router.example"`},
	{"create --name .. a", `the name ".." is not that of a file or folder`},
	{"create --exclude [ a", `pattern "[": syntax error in pattern`},
	{"create", `name the file or folder`},
	{"create a b", `one torrent is made of one file or folder, but got 2`},
	{"create --format v2 a", `--format v2 is not there yet`},
	{"create --format v7 a", `--format "v7" is not known`},
	{"create --piece-length 100KiB a", `--piece-length 100KiB is not a power of two`},
	{"create --piece-length 8KiB a", `not a power of two from 16KiB`},
	{"create --piece-length lots a", `write a size like 16KiB or 10MB`},
	{"create --threads -1 a", `--threads -1 is negative`},
	{"create --threads many a", `invalid argument "many"`},
	{"create --no-such-flag a", `unknown flag: --no-such-flag`},

	{"show", `name one .torrent file, URL or magnet link`},
	{"show a b", `name one .torrent file, URL or magnet link`},
	{"show --json=perhaps a", `invalid argument "perhaps"`},

	{"verify", `name the torrent and the data`},
	{"verify a", `name the torrent and the data`},
	{"verify a b c", `name the torrent and the data`},
	{"verify magnet:?xt=urn:btih:0000000000000000000000000000000000000001 b", `a magnet link has no file list and no hashes`},

	{"get", `name a .torrent file, its URL or a magnet link`},
	{"get magnet:?dn=x", `names no torrent`},
	{"get magnet:?xt=urn:btih:123", `expected 40 hexadecimal digits or 32 base32 characters`},
	{"get magnet:?xs=urn:btpk:123", `is not a public key of 64 hexadecimal digits`},
	{"get magnet:?xt=urn:btmh:12200000000000000000000000000000000000000000000000000000000000000000", `ask for a v1 or hybrid one`},
	{"get --no-dht magnet:?xt=urn:btih:0000000000000000000000000000000000000001", `there is nobody to ask about this magnet link`},
	{"get --no-dht --no-tracker magnet:?xt=urn:btih:0000000000000000000000000000000000000001&tr=http://127.0.0.1:1/", `there is nobody to ask`},
	{"get --no-dht magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e", `leave out --no-dht`},
	{"get magnet:?xt=urn:btih:0000000000000000000000000000000000000001 magnet:?dn=x&xt=urn:btih:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", `is the same torrent as another one on the command line (00000000…)`},
	{"get --seed-ratio -1 a", `--seed-ratio -1 is not a positive number`},
	{"get --timeout -1s a", `--timeout -1s is negative`},
	{"get --seed-time -1s a", `--seed-time -1s is negative`},
	{"get --json --every -1s a", `--every -1s is negative`},
	{"get --timeout 5 a", `invalid argument "5"`},
	{"get --port 65536 a", `--port 65536 is not between 1 and 65535`},
	{"get --bind eth0 a", `--bind "eth0" is not an address`},
	{"get --peer 127.0.0.1 a", `write it as HOST:PORT`},
	{"get --peer 127.0.0.1:0 a", `the port is not between 1 and 65535`},
	{"get --up fast a", `write a rate like 2MiB/s or 6000kbit/s`},
	{"get --max-peers -1 a", `--max-peers -1 is negative`},
	{"get --max-peers many a", `invalid argument "many" for "--max-peers" flag: it is not a number`},
	{"get --port 99999999999999999999 a", `invalid argument "99999999999999999999" for "--port" flag: it is too large`},
	{"get --seed=perhaps a", `invalid argument "perhaps" for "--seed" flag: write true or false`},
	{"get --timeout 5 a", `invalid argument "5" for "--timeout" flag: write a duration like 90s or 1h30m`},
	{"get --output= a", `-o needs the name of a folder`},
	{"get --dht-bootstrap x a", `--dht-bootstrap "x": write it as HOST:PORT`},
	{"get --no-dht --dht-bootstrap 127.0.0.1:1 a", `--no-dht and --dht-bootstrap exclude each other`},

	{"seed", `name a torrent and its data`},
	{"seed a", `name a torrent and its data`},
	{"seed a b c", `name a torrent and its data`},
	{"seed --data d a b", `with --data, name one folder`},
	{"seed --super-seed a b", `unknown flag: --super-seed`},
	{"seed magnet:?xt=urn:btih:0000000000000000000000000000000000000001 b", `or have "shoal get" fetch it from peers`},
	{"seed magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e b", `a magnet link has no file list`},
	{"seed magnet:?dn=x b", `names no torrent`},
	{"seed --dht-bootstrap :1 a b", `--dht-bootstrap ":1": write it as HOST:PORT`},

	{"share", `name one file or folder to share`},
	{"share a b", `name one file or folder to share`},
	{"share --http :-1 a", `--http ":-1" is not an address`},
	{"share --http nowhere a", `--http "nowhere" is not an address`},

	{"tracker", `say what to do: run, init, user,`},
	{"tracker run now", `run takes no argument`},
	{"tracker run --private --min-ratio NaN", `--min-ratio NaN is not a number from 0 to 10`},
	{"tracker invite --expires 2562047h", `--expires 2562047h0m0s is more than a year`},
	{"tracker promote --down 0 --for 2562047h", `more than a century; leave it out`},
	{"tracker run --open --private", `--open, --whitelist, --blacklist and --private exclude each other`},
	{"tracker run --blacklist x --whitelist y", `exclude each other`},
	{"tracker run --config no-such-file.toml", `no-such-file.toml: no such file`},
	{"tracker run --open --log-level loud", `"loud" is none of debug, info, warn, error`},
	{"tracker run --open --log-format xml", `--log-format "xml" is not text or json`},
	{"tracker run --open --trusted-proxy x", `"x" is not a network; write it as 10.0.0.0/8 or 192.0.2.7`},
	{"tracker run --open --https :443", `--https needs --tls-cert and --tls-key`},
	{"tracker run --open --https 443 --tls-cert a --tls-key b", `--https "443" is not an address`},
	{"tracker run --open --https :443 --tls-cert a", `--tls-cert and --tls-key belong together`},
	{"tracker run --open --tls-cert a --tls-key b", `a certificate is for --https`},
	{"tracker run --open --http unix:a", `say --udp ADDR or --udp off`},
	{"tracker run --open --drop x", `--db and the rules for users are for --private`},
	{"tracker run --open --slots 3", `--db and the rules for users are for --private`},
	{"tracker run --private --min-ratio 11", `--min-ratio 11 is not a number from 0 to 10`},
	{"tracker run --private --slots -1", `are not negative`},
	{"tracker run --private --seed-time 48h --seed-within 24h", `--seed-time 48h0m0s must fit into --seed-within 24h0m0s`},
	{"tracker init x", `init takes no argument`},
	{"tracker init --url x", `"x" is not a tracker's address`},
	{"tracker user", `say what to do: add, list, show, disable, enable, rotate-key`},
	{"tracker user add", `say "add NAME"`},
	{"tracker user list x", `"list" takes no argument`},
	{"tracker invite --role king", `there is no role "king"; choose one of member, uploader,`},
	{"tracker invite --expires 0s", `--expires 0s is over already`},
	{"tracker torrent get x", `say for whom: --user NAME`},
	{"tracker torrent list --user x", `--user and -o are for "get"`},
	{"tracker promote", `say what counts`},
	{"tracker promote --end --down 0", `--end takes no --up, --down or --for`},
	{"tracker init --url http://a:99999", `is not a tracker's address`},
	{"tracker promote --up -1", `--up -1 is negative`},
	{"tracker promote --down -1", `--down -1 is negative`},
	{"tracker promote --down 150", `--up is at most 1000, and --down at most 100`},
	{"tracker stats x", `stats takes no argument`},
	{"tracker review 1", `NUMBER VERDICT`},
	{"tracker review x y", `"x" is not a number of the list`},
	{"tracker backup", `name the file to write`},
	{"tracker restore", `name the backup`},
	{"tracker replay", `name the log`},
	{"tracker replay --interval 0s x", `is not between a second and a day`},
	{"tracker run", `say for which torrents`},
	{"tracker run --open --whitelist x", `--open, --whitelist, --blacklist and --private exclude each other`},
	{"tracker run --open --interval 1ms", `--interval 1ms is less than a second`},
	{"tracker run --open --http 6969", `--http "6969" is not an address`},
	{"tracker run --open --udp 6969", `--udp "6969" is not an address`},
	{"tracker run --open --http :99999", `--http ":99999" is not an address`},
	{"tracker run --open --interval 9999h", `--interval 9999h0m0s is more than a day`},

	{"dht", `say what to do: run, ping, find-node,`},
	{"dht png", `there is no command "dht png"; did you mean "dht ping"? (see "shoal dht --help")`},
	{"dht frobnicate", `there is no command "dht frobnicate" (see "shoal dht --help")`},
	{"dht --json", `unknown flag: --json`},
	{"help dht png", `did you mean "dht ping"?`},
	{"dht run now", `it takes no argument`},
	{"dht run --addr nowhere", `--addr "nowhere" is not an address`},
	{"dht run --addr :99999", `--addr ":99999" is not an address`},
	{"dht run --bootstrap 127.0.0.1", `--bootstrap "127.0.0.1": write it as HOST:PORT`},
	{"dht run --interval 1ms", `--interval 1ms is less than 100ms`},
	{"dht run --metrics 9881", `--metrics "9881" is not an address`},
	{"dht ping", `name one node as HOST:PORT`},
	{"dht ping 127.0.0.1", `node "127.0.0.1": write it as HOST:PORT`},
	{"dht ping --count 0 127.0.0.1:1", `--count 0 is not between 1 and`},
	{"dht ping --interval -1s 127.0.0.1:1", `--interval -1s is negative`},
	{"dht ping --timeout 0s 127.0.0.1:1", `--timeout 0s leaves no time`},
	{"dht find-node", `name an id of 40 hexadecimal digits`},
	{"dht find-node 12", `"12" is not an id of 40 hexadecimal digits`},
	{"dht find-node --addr 127.0.0.1 0000000000000000000000000000000000000001", `name a node with --bootstrap HOST:PORT`},
	{"dht get-peers", `name one torrent`},
	{"dht get-peers --timeout -1s x", `--timeout -1s leaves no time`},
	{"dht announce x", `say where the peer listens: --port N`},
	{"dht announce --port 65536 x", `--port 65536 is not between 1 and 65535`},
	{"dht scrape a b", `name one torrent`},
	{"dht scrape magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e", `names a key, not a torrent`},
	{"dht sample --count -1", `--count -1 is negative`},
	{"dht sample a b", `name one node as HOST:PORT, or none`},
	{"dht sample --bootstrap 127.0.0.1:1 127.0.0.1:1", `leave out --bootstrap and --state`},
	{"dht get", `name a target of 40 hexadecimal digits`},
	{"dht get --key 12", `"12" is not a public key of 64 hexadecimal digits`},
	{"dht get --key 12 12", `by its TARGET or by --key, not by both`},
	{"dht get --raw --json x", `--raw and --json exclude each other`},
	{"dht put", `name one value`},
	{"dht put --bencode i01e", `"i01e" is not bencoded`},
	{"dht put --salt s x", `name its key with --key-file`},
	{"dht put --key-file k --seq -1 x", `--seq -1 is negative`},
	{"dht put --key-file k --cas many x", `invalid argument "many" for "--cas" flag: it is not a number`},

	{"swarm", "say what to do: list, run, compare, sweep, validate, schema"},
	{"swarm frobnicate", `there is no command "swarm frobnicate" (see "shoal swarm --help")`},
	{"swarm list x", "it takes no argument"},
	{"swarm schema x", "it takes no argument"},
	{"swarm validate x", "it takes no argument"},
	{"swarm validate --seeds 0", "--seeds 0: write a number from 1"},
	{"swarm validate --workers -1", "--workers -1: write a number from 1"},
	{"swarm validate --only nothing", `no check has "nothing" in its name`},
	{"swarm run", "name one scenario"},
	{"swarm run flash-crowds", `there is no scenario "flash-crowds"; did you mean "flash-crowd"?`},
	{"swarm run nothing-like-it", `"shoal swarm list" names those that there are`},
	{"swarm run --seed x flash-crowd", "it is not a number"},
	{"swarm run --replicas -1 flash-crowd", "--replicas -1 is negative"},
	{"swarm run --workers -1 flash-crowd", "--workers -1: write a number"},
	{"swarm compare", "name two scenarios"},
	{"swarm compare flash-crowd", "with what?"},
	{"swarm compare flash-crowd flash-crowd", "A and B are the same scenario"},
	{"swarm sweep flash-crowd", "say what to vary"},
	{"swarm sweep --set demand.peers flash-crowd", "write KEY=V1,V2"},
	{"swarm sweep --set demand.peers=1 --shard 3/2 flash-crowd", "as 1/4"},

	{"demo fast", `it takes no argument`},
	{"version now", `it takes no argument`},
	{"completion", `name one shell: bash, zsh, fish`},
	{"completion tcsh", `there is no script for the shell "tcsh"`},
}

func TestUsageErrors(t *testing.T) {
	covered := map[string]bool{}
	for _, test := range usageErrors {
		args := strings.Fields(test.args)
		if c, _, err := find(args); err == nil {
			covered[c.name] = true
		}
		r := shoal(t, args...)
		if r.code != exitUsage || r.stdout != "" {
			t.Errorf("shoal %s: exit %d, stdout %q", test.args, r.code, r.stdout)
		}
		if !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "shoal: ") {
			t.Errorf("shoal %s says:\n%swant one line with: %s", test.args, r.stderr, test.want)
		}
		if c, _, err := find(args); err == nil && !strings.Contains(r.stderr, fmt.Sprintf("(see \"shoal %s --help\")", c.name)) {
			t.Errorf("shoal %s does not point to its help: %s", test.args, r.stderr)
		}
	}
	if r := shoal(t, "get", ""); r.code != exitUsage || !strings.Contains(r.stderr, "get: an argument is empty (see") {
		t.Errorf("an empty argument: exit %d, %s", r.code, r.stderr)
	}
	for _, args := range [][]string{{"put", "--key-file", "", "x"}, {"get", "--key", "", "x"}} {
		r := shoal(t, append([]string{"dht"}, args...)...)
		if want := args[1] + "\" flag: it is empty (see"; r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("dht %q: exit %d, %s", args, r.code, r.stderr)
		}
	}
	for _, c := range withSubs(commands()) {
		if !covered[c.name] {
			t.Errorf("no usage error of %s is tested", c.name)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{io.ErrUnexpectedEOF, 1},
		{usagef("x"), 2},
		{mismatchf("x"), 3},
		{notFoundf("x"), 4},
		{context.Canceled, 130},
		{fmt.Errorf("piece 17: %w", context.Canceled), 130},
		{fmt.Errorf("verify: %w", mismatchf("x")), 3},
		{context.DeadlineExceeded, 1},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("exit code of %v is %d, want %d", test.err, got, test.want)
		}
	}
}

// brokenWriter fails like a closed pipe or a full disk.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestStdoutThatCannotBeWritten(t *testing.T) {
	for _, test := range []struct {
		err     error
		message string
	}{
		{&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, ""},
		{syscall.ENOSPC, "shoal: writing the results: no space left on device\n"},
	} {
		var stderr strings.Builder
		code := run(t.Context(), &env{stdout: brokenWriter{test.err}, stderr: &stderr}, []string{"version"})
		if code != exitFailed || stderr.String() != test.message {
			t.Errorf("%v: exit %d, stderr %q", test.err, code, &stderr)
		}
	}
}

func TestStdoutThatBreaksStopsTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &output{w: brokenWriter{syscall.EPIPE}, stop: cancel}
	fmt.Fprintln(out, "one result")
	if ctx.Err() == nil {
		t.Error("the command goes on though nobody reads its results")
	}
	if err := out.failure(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("failure() = %v", err)
	}
}

// lockedStore is of data that another user keeps to himself.
type lockedStore struct{ piecestore.Storage }

func (lockedStore) ReadAt([]byte, int64) (int, error) {
	return 0, fmt.Errorf("file: %w", &fs.PathError{Op: "open", Path: "a.txt", Err: syscall.EACCES})
}

// What cannot be read is not said to be damaged.
func TestDataThatMayNotBeRead(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", someFiles())
	m, err := metainfo.Load(torrent)
	if err != nil {
		t.Fatal(err)
	}
	bad := []fileState{{fileIndex: len(m.Info.Files) - 1}, {fileIndex: 0}}
	if err := mustBeReadable(lockedStore{}, &m.Info, bad); err == nil || !strings.Contains(err.Error(), "cannot be read: permission denied") {
		t.Error(err)
	}
	empty := piecestore.NewMemory(m.Info.Geometry.TotalLen())
	if err := mustBeReadable(empty, &m.Info, bad); err != nil {
		t.Errorf("of what is missing: %v", err)
	}
}

func TestErrorsStayOnOneLineAndPrintable(t *testing.T) {
	var b strings.Builder
	report(&b, errors.New("first\nsecond \x1b[31mred\x07"))
	if got, want := b.String(), "shoal: first; second \\x1b[31mred\\a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSONHoldsNoRawControls(t *testing.T) {
	var b strings.Builder
	e := &env{stdout: &b}
	name := "a<b\x1b\u009b\u202e\U000e0001é\n"
	if err := e.printJSON(map[string]string{"name": name}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), `{"name":"a<b\u001b\u009b\u202e\udb40\udc01é\n"}`+"\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNearestCommand(t *testing.T) {
	for name, want := range map[string]string{"gte": "get", "sede": "seed", "tracer": "tracker", "shwo": "show", "zzz": "", "": ""} {
		if got, _ := nearest(name, []string{"create", "show", "get", "seed", "tracker"}); got != want && (want != "" || got == name) {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
