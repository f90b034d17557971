// Package accounttest holds every account.Store to one contract: [Run] is called
// by the tests of each, with a function that opens a new, empty one.
package accounttest
