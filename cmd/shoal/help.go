package main

import (
	"fmt"
	"strings"
)

// printOverview writes what "shoal" alone and "shoal help" answer.
func printOverview(e *env) error {
	var b strings.Builder
	b.WriteString("Shoal makes, tracks, seeds and downloads torrents.\n\nUsage:\n  shoal COMMAND [flags] [arguments]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.name, c.summary)
	}
	b.WriteString("\n\"shoal help COMMAND\" tells more of one. To see a whole swarm at work, run \"shoal demo\".\n")
	e.printf("%s", b.String())
	return nil
}

// help answers "shoal help" and "shoal help COMMAND".
func help(e *env, args []string) error {
	switch {
	case len(args) == 0, args[0] == "help", args[0] == "--help", args[0] == "-h":
		return printOverview(e)
	case strings.HasPrefix(args[0], "-"):
		return usagef("it has no flag %s; name a command", args[0])
	}
	c, _, err := find(args)
	if err != nil {
		return err
	}
	return c.printHelp(e)
}

func (c command) printHelp(e *env) error {
	e.printf("%s", c.help())
	return nil
}

// help returns the text of --help.
func (c command) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n", c.summary)
	for line := range strings.SplitSeq(c.usage, "\n") {
		fmt.Fprintln(&b, strings.TrimRight("  shoal "+c.name+" "+line, " "))
	}
	if c.about != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.about))
	}
	if c.subs != nil {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.subs() {
			fmt.Fprintf(&b, "  %-11s %s\n", sub.lastWord(), sub.summary)
		}
	}
	fmt.Fprintf(&b, "\nExample:\n")
	for line := range strings.Lines(strings.TrimSpace(c.example)) {
		fmt.Fprintf(&b, "  %s", line)
	}
	b.WriteByte('\n')
	fmt.Fprintf(&b, "\nFlags:\n%s", c.flagSet(c.new()).FlagUsages())
	return b.String()
}
