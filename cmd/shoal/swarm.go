package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/scenarios"
)

func swarmCommand() command {
	return command{
		name:    "swarm",
		summary: "run experiments with whole swarms, in virtual time",
		usage:   "COMMAND [flags] [arguments]",
		about: `
An experiment is a scenario: what is distributed, from where, to whom, and by which
systems. Swarms in it run the very engine of "shoal get"; servers, caches and CDNs
serve the same clients beside them. Nothing is sent over a network. The same
scenario and seed give the same results, to the last event.`,
		example: "shoal swarm run flash-crowd",
		new:     func() runner { return group{swarmCommands()} },
		subs:    swarmCommands,
	}
}

// swarmCommands is the table of the commands behind "shoal swarm".
func swarmCommands() []command {
	return []command{
		swarmListCommand(),
		swarmRunCommand(),
		swarmCompareCommand(),
		swarmSweepCommand(),
		swarmValidateCommand(),
		swarmSchemaCommand(),
	}
}

func swarmListCommand() command {
	return command{
		name:    "swarm list",
		summary: "list the scenarios that come with Shoal",
		usage:   "[flags]",
		example: "shoal swarm list",
		new:     func() runner { return new(swarmListRun) },
	}
}

type swarmListRun struct{ json bool }

func (r *swarmListRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each")
}

// scenarioJSON is a line of "shoal swarm list --json".
type scenarioJSON struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Shows    string `json:"shows"`
	Peers    int    `json:"peers"`
	Contents int    `json:"contents"`
	Bytes    int64  `json:"content_bytes"`
}

func (r *swarmListRun) run(_ context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("it takes no argument, but got %q", args[0])
	}
	for _, name := range scenarios.Names() {
		src, _ := scenarios.Source(name)
		s, err := src.Parse()
		if err != nil {
			return err
		}
		if !r.json {
			e.printf("%-17s %s\n", name, s.Title)
			continue
		}
		if err := e.printJSON(scenarioJSON{name, s.Title, s.Shows, s.NumPeers(), s.Content.Count, s.Content.Length}); err != nil {
			return err
		}
	}
	return nil
}

func swarmSchemaCommand() command {
	return command{
		name:    "swarm schema",
		summary: "print the JSON schema of scenario files, for editors",
		usage:   "",
		example: "shoal swarm schema > schema.json",
		new:     func() runner { return swarmSchemaRun{} },
	}
}

type swarmSchemaRun struct{}

func (swarmSchemaRun) flags(*pflag.FlagSet) {}

func (swarmSchemaRun) run(_ context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("it takes no argument, but got %q", args[0])
	}
	e.printf("%s", scenario.Schema())
	return nil
}

// maxScenarioLen is more than the longest scenario: what is longer is not read
// to its end.
const maxScenarioLen = 1 << 20

// loadScenario reads a scenario of the library, or a file, with further values as
// "key=value". Mistakes in it are told line by line.
func loadScenario(e *env, arg string, set []string) (*scenario.Scenario, error) {
	src, ok := scenarios.Source(arg)
	if !ok {
		// A trace of a stranger's scenario must not be a link that leads elsewhere.
		err := checkRegular(arg)
		if err != nil {
			return nil, unknownScenario(arg, err)
		}
		dir, err := os.OpenRoot(filepath.Dir(arg))
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		if src, err = openScenario(arg, dir.FS()); err != nil {
			return nil, err
		}
	}
	src.Set = set
	s, err := src.Parse()
	var several scenario.Errors
	if errors.As(err, &several) && len(several) > 1 {
		for _, one := range several {
			e.logf("%s", oneLine(one.Error()))
		}
		return nil, usagef("%s: %s", arg, count(len(several), "mistake"))
	}
	if err != nil {
		return nil, usagef("%v", err)
	}
	return s, nil
}

// checkRegular refuses what is no file: a pipe could keep us waiting for ever.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = usagef("%s is no file; a scenario has to be in one", path)
	}
	return err
}

func openScenario(path string, dir fs.FS) (scenario.Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return scenario.Source{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxScenarioLen))
	return scenario.Source{File: path, Data: data, Dir: dir}, err
}

// unknownScenario explains why there is no such file: most often a name of the
// library was meant.
func unknownScenario(arg string, err error) error {
	if !errors.Is(err, os.ErrNotExist) || strings.ContainsAny(arg, `./\`) {
		return err
	}
	if near, ok := nearest(arg, scenarios.Names()); ok {
		return usagef("there is no scenario %q; did you mean %q?", arg, near)
	}
	return usagef("there is no scenario %q; \"shoal swarm list\" names those that there are, or name a file", arg)
}

// seedFlag is a seed, if one was given: a pflag.Value.
type seedFlag struct {
	seed  uint64
	given bool
}

func (f *seedFlag) Type() string { return "N" }

func (f *seedFlag) String() string {
	if !f.given {
		return ""
	}
	return strconv.FormatUint(f.seed, 10)
}

func (f *seedFlag) Set(text string) error {
	seed, err := strconv.ParseUint(text, 10, 64)
	f.seed, f.given = seed, true
	return err
}

// swarmSeeds are the flags that say with which seeds a scenario runs.
type swarmSeeds struct {
	first    seedFlag
	replicas int
}

func (f *swarmSeeds) flags(fs *pflag.FlagSet) {
	fs.Var(&f.first, "seed", "run with this seed (default: the scenario's, which is 1 if it has none)")
	fs.IntVar(&f.replicas, "replicas", 0, "run with `N` seeds, one after the other from --seed (default: the scenario's)")
}

func (f *swarmSeeds) check() error {
	switch {
	case f.replicas < 0:
		return usagef("--replicas %d is negative", f.replicas)
	case f.replicas > maxRuns:
		return usagef("--replicas %d: at most %d", f.replicas, maxRuns)
	}
	return nil
}

// of returns the seeds for a scenario, at least so many if nobody said how many.
func (f *swarmSeeds) of(s *scenario.Scenario, atLeast int) (seeds []uint64) {
	first, n := s.Seed, max(s.Replicas, atLeast)
	if f.first.given {
		first = f.first.seed
	}
	if f.replicas > 0 {
		n = f.replicas
	}
	for i := range n {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// maxRuns bounds the runs of one command. Arbitrary.
const maxRuns = 100_000

// workersFlag binds --workers.
func workersFlag(fs *pflag.FlagSet, workers *int) {
	fs.IntVar(workers, "workers", 0, "use `N` processors (default: all)")
}

func checkWorkers(workers int) error {
	if workers < 0 || workers > maxWorkers {
		return usagef("--workers %d: write a number from 1 to %d", workers, maxWorkers)
	}
	return nil
}

// maxWorkers is arbitrary: more than any machine has.
const maxWorkers = 4096

// makeFolder makes the folder of results before there are any, so that one that
// cannot be written is noticed before hours have passed. After the runs, tidy removes it if it
// was not there before and nothing was written.
func makeFolder(dir string) (tidy func(), err error) {
	tidy = func() {}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		tidy = func() { os.Remove(dir) } // which fails if anything is in it
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("%w; choose another folder with --out", err)
	}
	probe, err := os.CreateTemp(dir, ".shoal-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("nothing can be written to %s: %w; choose another folder with --out", dir, errors.Unwrap(err))
	}
	return tidy, errors.Join(probe.Close(), os.Remove(probe.Name()))
}
