// Package scenarios is the library of scenarios that comes with Shoal.
//
// Each is a TOML file in this folder, which begins with a comment that says what it
// shows; package swarmtest/scenario says what the keys mean. schema.json is the JSON schema of such files,
// for editors. All are part of the program, so nothing can be missing, and nothing is to be cancelled.
package scenarios

import (
	"embed"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

//go:embed *.toml
var files embed.FS

// Names are the names of all, in alphabetical order.
func Names() (names []string) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the folder is in the program
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	return names
}

// Source returns a scenario to parse, by its name.
func Source(name string) (src scenario.Source, ok bool) {
	data, err := files.ReadFile(name + ".toml")
	return scenario.Source{File: name + ".toml", Data: data, Dir: files}, err == nil
}
