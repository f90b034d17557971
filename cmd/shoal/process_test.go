//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// process is shoal in a process of its own.
type process struct {
	*exec.Cmd
	stderr *bufio.Reader
}

func startProcess(t *testing.T, stdout *os.File, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	cmd.Stdout = stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, bufio.NewReader(stderr)}
}

// waitFor reads stderr up to a line that contains text.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := p.stderr.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("stderr ends (%v) before %q", err, text)
		}
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for the process and returns its exit code, -1 if a signal ended it,
// and the rest of its stderr.
func (p *process) end(t *testing.T) (code int, stderr string) {
	t.Helper()
	rest, err := io.ReadAll(p.stderr)
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), string(rest)
}

func TestSignalsStopCleanly(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := startProcess(t, nil, "tracker", "run", "--open", "--http", "127.0.0.1:0")
		p.waitFor(t, "tracking every torrent\" http=127.0.0.1:")
		p.signal(t, s)
		if code, stderr := p.end(t); code != exitInterrupted || !strings.HasSuffix(stderr, "shoal: interrupted\n") {
			t.Errorf("%v: exit %d, stderr %q", s, code, stderr)
		}
	}
}

// --quiet says nothing but what goes wrong; neither do the sessions of demo,
// which would say the same five times.
func TestQuietSessionEndsQuietly(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	seed := start(t, "seed", "--quiet", "--bind", "127.0.0.1", torrent, data)
	seed.addr(t, "peer")
	if r := seed.stop(); r.code != exitInterrupted || r.stderr != "shoal: interrupted\n" {
		t.Errorf("exit %d, stderr %q", r.code, r.stderr)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	// A tracker that never answers keeps the goodbye from ending.
	asked := make(chan struct{}, 1)
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer tracker.Close()
	torrent, data := makeTorrent(t, "data", someFiles(), "--announce", tracker.URL+"/announce")
	p := startProcess(t, nil, "seed", "--bind", "127.0.0.1", torrent, data)
	<-asked
	p.signal(t, os.Interrupt)
	p.waitFor(t, "stopping; Ctrl-C once more ends it at once")
	p.signal(t, os.Interrupt)
	if code, stderr := p.end(t); code != exitInterrupted || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestHangupReloadsTheWhitelist(t *testing.T) {
	list := filepath.Join(t.TempDir(), "hashes.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Repeat("1", 40) + "\n")
	p := startProcess(t, nil, "tracker", "run", "--whitelist", list, "--http", "127.0.0.1:0")
	p.waitFor(t, `"tracking 1 torrent"`)
	write(strings.Repeat("1", 40) + "\n" + strings.Repeat("2", 40) + "\n")
	p.signal(t, syscall.SIGHUP)
	p.waitFor(t, `msg=reloaded tracking="2 torrents"`)
	write("no hash\n")
	p.signal(t, syscall.SIGHUP)
	p.waitFor(t, `tracking="2 torrents"`)
	p.signal(t, os.Interrupt)
	if code, stderr := p.end(t); code != exitInterrupted {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestPipesThatNobodyWritesTo(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip(err)
	}
	if r := shoal(t, "show", pipe); r.code != exitFailed || !strings.Contains(r.stderr, "the file is empty") {
		t.Errorf("exit %d, stderr %q", r.code, r.stderr)
	}
}

func TestClosedPipeIsNoReasonToDie(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	p := startProcess(t, w, "version")
	if code, stderr := p.end(t); code != exitFailed || stderr != "" {
		t.Errorf("exit %d (-1 is a signal), stderr %q", code, stderr)
	}
}

// The first signal has the tracker drain, the second ends it at once.
func TestTrackerDrains(t *testing.T) {
	config := filepath.Join(t.TempDir(), "tracker.toml")
	for drain, impatient := range map[string]bool{"1m": true, "10ms": false} {
		if err := os.WriteFile(config, []byte("torrents.open = true\nstop.drain = \""+drain+"\"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		state := filepath.Join(t.TempDir(), "state")
		p := startProcess(t, nil, "tracker", "run", "--config", config, "--http", "127.0.0.1:0", "--state", state)
		p.waitFor(t, "tracking every torrent")
		p.signal(t, syscall.SIGTERM)
		p.waitFor(t, "draining")
		if impatient {
			p.signal(t, syscall.SIGTERM)
		}
		code, stderr := p.end(t)
		_, err := os.Stat(state)
		if code != exitInterrupted || impatient != errors.Is(err, fs.ErrNotExist) || impatient == strings.Contains(stderr, "tracker stopped") {
			t.Errorf("drain %s: exit %d, state file %v, stderr %q", drain, code, err, stderr)
		}
	}
}
