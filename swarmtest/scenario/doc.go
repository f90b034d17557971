// Package scenario reads the files that describe experiments.
//
// A Scenario is one experiment: what is distributed, from where, to whom over
// which network, and by which Systems. Its file is TOML, read strictly: a key that is
// not known, a wrong type or unit, a value that is missing or contradicts
// another is an Error with the line and what to do. A table of all keys (keys.go) is the
// only place that knows them: the decoder, the canonical form, the JSON schema
// and the reference in docs/scenarios.md come from it.
//
// Files come from strangers: their length, their nesting, the number of every
// kind of element, and every number, size, rate and duration is bounded, and
// so is the work of the swarm that they describe. A trace is opened below the
// folder of its scenario only. Nothing takes long enough to be cancelled.
package scenario
