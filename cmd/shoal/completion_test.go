package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestCompletionKnowsEveryCommandAndFlag(t *testing.T) {
	for _, shell := range shells {
		script := mustSucceed(t, "completion", shell).stdout
		for _, c := range withSubs(commands()) {
			if !strings.Contains(script, c.lastWord()) {
				t.Errorf("%s: no command %s", shell, c.name)
			}
			c.eachFlag(func(f *pflag.Flag) {
				flag := "--" + f.Name
				if shell == "fish" {
					flag = "__fish_seen_subcommand_from " + c.lastWord() + "' -l " + f.Name
				}
				if !strings.Contains(script, flag) {
					t.Errorf("%s: no flag --%s of %s", shell, f.Name, c.name)
				}
			})
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	script := mustSucceed(t, "completion", "bash").stdout
	for line, want := range map[string]string{
		"shoal ver":             "verify version",
		"shoal create --web":    "--web-seed",
		"shoal create ph":       "",
		"shoal completion ":     "bash zsh fish",
		"shoal help compl":      "completion",
		"shoal show --json --f": "--files",
		"shoal dht pi":          "ping",
		"shoal dht ping --cou":  "--count",
		"shoal dht get --sa":    "--salt",
		"shoal get --sa":        "",
	} {
		words := strings.Split(line, " ")
		ask := script + "\nCOMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _shoal; echo \"${COMPREPLY[*]}\""
		cmd := exec.Command(bash, append([]string{"--norc", "-c", ask, "bash"}, words...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C") // without a warning that there is no such locale
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q is completed by %q, want %q (%v)", line, got, want, err)
		}
	}
}

func TestCompletionParsesInItsShell(t *testing.T) {
	for _, shell := range shells {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("no %s here", shell)
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(mustSucceed(t, "completion", shell).stdout)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
