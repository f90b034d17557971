package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

func completionCommand() command {
	return command{
		name:    "completion",
		summary: "print the script that completes shoal's commands and flags in a shell",
		usage:   "bash|zsh|fish",
		about: `
The script knows every command and flag of this version. It goes where the
shell looks for such scripts:
  bash   shoal completion bash > ~/.local/share/bash-completion/completions/shoal
  zsh    shoal completion zsh > "${fpath[1]}/_shoal"
  fish   shoal completion fish > ~/.config/fish/completions/shoal.fish`,
		example: "source <(shoal completion bash)    # for this shell only",
		new:     func() runner { return completionRun{} },
	}
}

// shells are the shells that scripts can be made for.
var shells = []string{"bash", "zsh", "fish"}

type completionRun struct{}

func (completionRun) flags(*pflag.FlagSet) {}

func (completionRun) run(_ context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name one shell: %s", strings.Join(shells, ", "))
	}
	switch args[0] {
	case "bash":
		e.printf("%s", bashCompletion(commands()))
	case "zsh":
		e.printf("%s", zshCompletion(commands()))
	case "fish":
		e.printf("%s", fishCompletion(commands()))
	default:
		return usagef("there is no script for the shell %q; there is one for %s", args[0], strings.Join(shells, ", "))
	}
	return nil
}

// names are what can stand as the first word behind shoal.
func names(table []command) []string {
	var out []string
	for _, c := range table {
		out = append(out, c.name)
	}
	return append(out, "help")
}

// eachFlag calls do with every flag of c.
func (c command) eachFlag(do func(f *pflag.Flag)) { c.flagSet(c.new()).VisitAll(do) }

// words are what can be completed behind c besides flags and files.
func (c command) words() (words []string) {
	switch c.name {
	case "completion":
		return shells
	case "tracker":
		return []string{"run"}
	}
	if c.subs != nil {
		for _, sub := range c.subs() {
			words = append(words, sub.lastWord())
		}
	}
	return words
}

// withSubs returns the commands of table and, behind each group, its own.
func withSubs(table []command) (all []command) {
	for _, c := range table {
		all = append(all, c)
		if c.subs != nil {
			all = append(all, c.subs()...)
		}
	}
	return all
}

// groups returns the names of the groups of table, as a pattern of "case".
func groups(table []command) string {
	var names []string
	for _, c := range table {
		if c.subs != nil {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, "|")
}

func bashCompletion(table []command) string {
	var b strings.Builder
	commandNames := strings.Join(names(table), " ")
	b.WriteString(`# Completion of shoal's commands and flags for bash, made by "shoal completion bash".
_shoal() {
    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= flags=
    if [ "$COMP_CWORD" -eq 1 ]; then
`)
	fmt.Fprintf(&b, "        words=%q\n    else\n", commandNames)
	fmt.Fprintf(&b, "        case $command in\n        %s) [ \"$COMP_CWORD\" -eq 2 ] || command+=\" ${COMP_WORDS[2]}\" ;;\n        esac\n", groups(table))
	fmt.Fprintf(&b, "        case $command in\n        help) words=%q ;;\n", commandNames)
	for _, c := range withSubs(table) {
		var flags []string
		c.eachFlag(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
		fmt.Fprintf(&b, "        %q) words=%q flags=%q ;;\n", c.name, strings.Join(c.words(), " "), strings.Join(flags, " "))
	}
	b.WriteString(`        esac
    fi
    case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    esac
}
complete -o default -F _shoal shoal
`)
	return b.String()
}

func zshCompletion(table []command) string {
	var b strings.Builder
	b.WriteString("#compdef shoal\n# Completion of shoal's commands and flags for zsh, made by \"shoal completion zsh\".\n")
	b.WriteString("_shoal() {\n    local -a commands\n    commands=(\n")
	for _, c := range table {
		fmt.Fprintf(&b, "        %s\n", quoteShell(c.name+":"+c.summary))
	}
	b.WriteString("        'help:explain a command'\n    )\n")
	b.WriteString(`    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
`)
	fmt.Fprintf(&b, "    case $command in\n    %s)\n", groups(table))
	b.WriteString(`        if (( CURRENT > 2 )); then
            command+=" $words[2]"
            shift words
            (( CURRENT-- ))
        fi ;;
    esac
    case $command in
    help) _describe command commands ;;
`)
	for _, c := range withSubs(table) {
		fmt.Fprintf(&b, "    %s) _arguments", quoteShell(c.name))
		c.eachFlag(func(f *pflag.Flag) {
			fmt.Fprintf(&b, " \\\n        %s", quoteShell(zshFlag(f, "--"+f.Name, "=")))
			if f.Shorthand != "" {
				fmt.Fprintf(&b, " \\\n        %s", quoteShell(zshFlag(f, "-"+f.Shorthand, "")))
			}
		})
		argument := "*:file:_files"
		if words := c.words(); words != nil {
			argument = "1:word:(" + strings.Join(words, " ") + ")"
		}
		fmt.Fprintf(&b, " \\\n        %s ;;\n", quoteShell(argument))
	}
	b.WriteString("    esac\n}\ncompdef _shoal shoal\n")
	return b.String()
}

// zshFlag is a flag as zsh's _arguments describes it: "*" allows repeats, and
// the joint says that the value may follow in the same word.
func zshFlag(f *pflag.Flag, flag, joint string) string {
	escape := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)
	value, usage := pflag.UnquoteUsage(f)
	if f.NoOptDefVal != "" {
		return flag + "[" + escape.Replace(usage) + "]"
	}
	return "*" + flag + joint + "[" + escape.Replace(usage) + "]:" + escape.Replace(value) + ":_files"
}

func fishCompletion(table []command) string {
	var b strings.Builder
	b.WriteString("# Completion of shoal's commands and flags for fish, made by \"shoal completion fish\".\n")
	for _, c := range table {
		fmt.Fprintf(&b, "complete -c shoal -f -n __fish_use_subcommand -a %s -d %s\n", c.name, quoteFish(c.summary))
	}
	fmt.Fprintf(&b, "complete -c shoal -f -n __fish_use_subcommand -a help -d 'explain a command'\n")
	fmt.Fprintf(&b, "complete -c shoal -f -n '__fish_seen_subcommand_from help' -a %s\n", quoteFish(strings.Join(names(table), " ")))
	for _, c := range withSubs(table) {
		condition := quoteFish(fishCondition(c, table))
		if words := c.words(); words != nil {
			fmt.Fprintf(&b, "complete -c shoal -f -n %s -a %s\n", condition, quoteFish(strings.Join(words, " ")))
		}
		c.eachFlag(func(f *pflag.Flag) {
			fmt.Fprintf(&b, "complete -c shoal -n %s -l %s", condition, f.Name)
			if f.Shorthand != "" {
				fmt.Fprintf(&b, " -s %s", f.Shorthand)
			}
			if f.NoOptDefVal == "" {
				b.WriteString(" -r")
			}
			_, usage := pflag.UnquoteUsage(f)
			fmt.Fprintf(&b, " -d %s\n", quoteFish(usage))
		})
	}
	return b.String()
}

// fishCondition is true where c's flags and words are completed: behind the
// words of its name, and for one that is also a word of a group ("dht get")
// not behind that group.
func fishCondition(c command, table []command) string {
	condition := "__fish_seen_subcommand_from " + strings.ReplaceAll(c.name, " ", "; and __fish_seen_subcommand_from ")
	for _, g := range table {
		if g.subs != nil && g.name != c.name && !strings.HasPrefix(c.name, g.name+" ") {
			condition = "not __fish_seen_subcommand_from " + g.name + "; and " + condition
		}
	}
	return condition
}

// quoteShell quotes s for zsh and every POSIX shell.
func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoteFish quotes s for fish, where a backslash escapes inside of quotes.
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
