package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// asMain, set in the environment, makes the test binary run as shoal itself:
// signals and closed pipes need a process of their own.
const asMain = "SHOAL_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	dht.DefaultRouters = nil // whatever a test forgets, nothing leaves this machine
	if os.Getenv(asMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is what a command left behind.
type result struct {
	code           int
	stdout, stderr string
}

// patience is far more than any command takes that these tests run, on a machine
// that does much else: a download that hangs is to fail its test, not to stop all
// of them.
const patience = 5 * time.Minute

// shoal runs a command line in this process.
func shoal(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return shoalCtx(ctx, args...)
}

// shoalUntil runs a command line whose --timeout, of an hour, passes as soon as
// isLate says so of the progress and of what stderr has. So it does not matter
// how fast the machine is.
func shoalUntil(t *testing.T, isLate func(all []progress, stderr string) bool, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout bytes.Buffer
	var stderr lockedBuffer
	late := false
	e := &env{
		stdout: &stdout, stderr: &stderr,
		looked: func(all []progress) { late = late || isLate(all, stderr.String()) },
		late:   func() bool { return late },
	}
	code := run(ctx, e, append(args, "--timeout", "1h"))
	return result{code, stdout.String(), stderr.String()}
}

// whenTold is an isLate of shoalUntil.
func whenTold(text string) func([]progress, string) bool {
	return func(_ []progress, stderr string) bool { return strings.Contains(stderr, text) }
}

func shoalCtx(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, &env{stdout: &stdout, stderr: &stderr}, args)
	return result{code, stdout.String(), stderr.String()}
}

// mustSucceed runs a command line that must exit with 0.
func mustSucceed(t *testing.T, args ...string) result {
	t.Helper()
	r := shoal(t, args...)
	if r.code != exitDone {
		t.Fatalf("shoal %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// golden compares got with testdata/name, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", name, got)
	}
}

// writeFiles makes files below dir; a name may hold slashes.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// keys returns the keys of a JSON object, nested ones as "outer.inner" and
// those of objects in a list as "list[].inner".
func keys(t *testing.T, line string) map[string]bool {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, line)
	}
	found := map[string]bool{}
	collectKeys(found, "", object)
	return found
}

func collectKeys(found map[string]bool, prefix string, object map[string]any) {
	for key, value := range object {
		found[prefix+key] = true
		switch value := value.(type) {
		case map[string]any:
			collectKeys(found, prefix+key+".", value)
		case []any:
			for _, element := range value {
				if inner, ok := element.(map[string]any); ok {
					collectKeys(found, prefix+key+"[].", inner)
				}
			}
		}
	}
}
