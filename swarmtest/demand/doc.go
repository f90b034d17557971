// Package demand turns a scenario into the list of its clients.
//
// A Client is one download: who it is of, when it joins, what it wants, how
// long it stays, and its Place in the network. All systems of a run serve the same list, and so
// do variants of a scenario that are compared.
//
// Everything is a pure function of a scenario and a seed. Each attribute of a
// client comes from a random stream of its own, named by the class and
// the client's number in it. So one more client, one more class, or another
// value of one key leaves the draws of all others as they were: what two
// variants differ in is what was changed, and not luck. The number of clients is bounded by the scenario.
package demand
