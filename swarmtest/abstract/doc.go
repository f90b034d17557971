// Package abstract plays the models of the literature as their authors state
// them: whole pieces or files pass between uniform peers, without an engine, a
// link or a message. Where theory assumes such transfers, it must be compared
// with them, and not with the engine.
//
// A schedule is a list of transfers for each part-time; a chain is a population
// that changes at random times. Every chain draws from one random stream of its
// seed, and is bounded by the time it is given.
package abstract
