package main

import (
	"context"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
)

func versionCommand() command {
	return command{
		name:    "version",
		summary: "say which version of Shoal this is",
		usage:   "[flags]",
		example: "shoal version",
		new:     func() runner { return new(versionRun) },
	}
}

type versionRun struct{ json bool }

func (r *versionRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
}

// versionJSON is what "shoal version --json" prints.
type versionJSON struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func (r *versionRun) run(_ context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("it takes no argument, but got %q", args[0])
	}
	v := versionJSON{Version: metainfo.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if r.json {
		return e.printJSON(v)
	}
	e.printf("shoal %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	return nil
}
