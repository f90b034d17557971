// Package lab runs scenarios.
//
// A run is one scenario with one seed: the clients of the demand, served by
// each System of the scenario in turn. A swarm runs on swarmtest/sim, all others on swarmtest/cdn; each
// is compared with the bound of swarmtest/theory, and a run that beats it is an error, for
// then the simulator is wrong.
//
// What is bounded is bounded by the scenario. The context given to Run cancels it; what it did so
// far is dropped.
package lab
