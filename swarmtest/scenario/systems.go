package scenario

import "github.com/shoal-bt/shoal/swarmtest/result"

// system is the table of a system. Default are a swarm and an origin.
var system = table{doc: "One way of serving the demand. All systems of a scenario serve the same clients, side by side. Default: a `swarm` and an `origin`.", keys: []key{
	{name: "kind", kind: word, words: []string{result.Swarm, result.Origin}, doc: "What it is. `swarm`: peers that run the engine. `origin`: the publisher's server alone."},
	{name: "name", kind: name, optional: true, doc: "Its name in the results. Default: the kind."},
}}

// defaultSystems are those of a file that names none.
var defaultSystems = []System{{Kind: result.Swarm}, {Kind: result.Origin}}
