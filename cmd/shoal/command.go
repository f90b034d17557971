package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// command is one row of the table in commands.go, or of a group's own table.
type command struct {
	name    string // one word, or in a group two: "dht ping"
	summary string // one line, for the overview
	usage   string // the arguments, as they stand behind the name
	about   string // what the summary leaves out, or empty
	example string // one worked example: the command line and what it does
	new     func() runner
	subs    func() []command // of a group: its commands
}

// group is the runner of a command that is only the first word of others.
type group struct{ subs []command }

func (group) flags(*pflag.FlagSet) {}

func (g group) run(context.Context, *env, []string) error {
	var words []string
	for _, c := range g.subs {
		words = append(words, c.lastWord())
	}
	return usagef("say what to do: %s", strings.Join(words, ", "))
}

// lastWord is the name of c inside of its group.
func (c command) lastWord() string { return c.name[strings.LastIndexByte(c.name, ' ')+1:] }

// runner is one run of a command: flags binds its options to the flag set,
// which is then parsed, and run does the work.
type runner interface {
	flags(*pflag.FlagSet)
	run(ctx context.Context, e *env, args []string) error
}

// run is the program without its process: it runs the command that args name
// and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out := &output{w: e.stdout, stop: stop}
	inner := *e
	inner.stdout = out
	err := dispatch(ctx, &inner, args)
	if failure := out.failure(); failure != nil {
		err = failure
	}
	report(e.stderr, err)
	return exitCode(err)
}

// report writes the line that says what went wrong.
func report(w io.Writer, err error) {
	switch {
	case err == nil, isClosedPipe(err):
	case exitCode(err) == exitInterrupted:
		fmt.Fprintln(w, "shoal: interrupted")
	default:
		fmt.Fprintf(w, "shoal: %s\n", oneLine(err.Error()))
	}
}

// oneLine keeps an error that quotes several lines, or a control character of
// some remote text, on one line.
func oneLine(s string) string { return printable(strings.ReplaceAll(s, "\n", "; ")) }

// dispatch finds the command and parses its flags.
func dispatch(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return printOverview(e)
	}
	switch args[0] {
	case "help":
		return help(e, args[1:])
	case "-h", "--help":
		return printOverview(e)
	case "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	cmd, rest, err := find(args)
	if err != nil {
		return err
	}
	return cmd.execute(ctx, e, rest)
}

// execute parses args and runs the command. Every usage error names the page
// that helps.
func (c command) execute(ctx context.Context, e *env, args []string) error {
	r := c.new()
	fs := c.flagSet(r)
	err := fs.Parse(args)
	switch {
	case err != nil:
		err = usagef("%s", flagErrorText(err))
	case fs.Changed("help"):
		return c.printHelp(e)
	case slices.Contains(fs.Args(), ""):
		// Such as "$FILE" with a variable that is not set.
		err = usagef("an argument is empty")
	default:
		err = r.run(ctx, e, fs.Args())
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return usagef("%s: %s (see \"shoal %s --help\")", c.name, usage.text, c.name)
	case err != nil:
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// flagErrorText is what is wrong with the flags, without the names of the
// functions of Go that found out.
func flagErrorText(err error) string {
	text := err.Error()
	var number *strconv.NumError
	switch {
	case errors.As(err, &number) && number.Func == "ParseBool":
		return strings.Replace(text, number.Error(), "write true or false", 1)
	case errors.As(err, &number) && errors.Is(err, strconv.ErrRange):
		return strings.Replace(text, number.Error(), "it is too large", 1)
	case errors.As(err, &number):
		return strings.Replace(text, number.Error(), "it is not a number", 1)
	case strings.Contains(text, ": time: "):
		text, _, _ = strings.Cut(text, ": time: ")
		return text + ": write a duration like 90s or 1h30m"
	}
	return text
}

// flagSet returns the command's flags, bound to r.
func (c command) flagSet(r runner) *pflag.FlagSet {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.SortFlags = false
	r.flags(fs)
	fs.BoolP("help", "h", false, "explain the command")
	return fs
}

// find returns the command that args begin with, in one word or in two, and
// the arguments behind it.
func find(args []string) (command, []string, error) {
	cmd, err := lookUp(commands(), args[0])
	if err != nil || cmd.subs == nil || len(args) == 1 || strings.HasPrefix(args[1], "-") {
		return cmd, args[1:], err
	}
	cmd, err = lookUp(cmd.subs(), cmd.name+" "+args[1])
	return cmd, args[2:], err
}

// lookUp finds the command called name in table.
func lookUp(table []command, name string) (command, error) {
	page := "shoal help"
	if first, _, two := strings.Cut(name, " "); two {
		page = "shoal " + first + " --help"
	}
	names := []string{"help"}
	for _, c := range table {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	if strings.HasPrefix(name, "-") {
		return command{}, usagef("a command comes before its flags, as in \"shoal get %s\" (see %q)", name, page)
	}
	if near, ok := nearest(name, names); ok {
		return command{}, usagef("there is no command %q; did you mean %q? (see %q)", name, near, page)
	}
	return command{}, usagef("there is no command %q (see %q)", name, page)
}

// nearest returns the candidate that fewest keystrokes turn name into, if it is
// at most as far as a third of its letters and one more.
func nearest(name string, candidates []string) (string, bool) {
	best, bestDistance := "", len(name)+1
	for _, c := range candidates {
		if d := editDistance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best, best != "" && bestDistance <= 1+len(best)/3
}

// editDistance is Levenshtein's: the least number of bytes inserted, removed
// and replaced that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
