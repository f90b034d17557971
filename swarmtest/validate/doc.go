// Package validate holds the simulator against what is known: closed forms
// against textbook figures, abstract models against the theory that assumes them,
// servers and CDNs against what can be counted, and swarms of the real engine against bounds and published
// measurements. The kinds are never mixed up. What papers found is reproduced with the scenario files
// in the folder papers, which "shoal swarm run" takes as well.
//
// An experiment is run with several seeds and gives a number for each of its
// checks; a check holds if the 95 % interval of the mean lies inside what is expected.
// Experiments run side by side, each on one goroutine; a context cancels them.
package validate
