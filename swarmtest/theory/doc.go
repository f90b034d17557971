// Package theory holds the closed forms that experiments are compared with.
//
// A bound is a time, in seconds, that no way of distributing a file can beat.
// Everything is a pure function of a population and a file length, in bits or
// bytes as long as all arguments agree.
package theory
