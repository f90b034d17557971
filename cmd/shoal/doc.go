// Shoal makes, tracks, seeds and downloads torrents from a terminal.
//
// A command is a name, a line that says what it does, its flags and a function
// that runs; commands.go holds the table of them, and each has a file of its
// own. An env is the world a command writes to: results go to its stdout,
// progress and what went wrong to its stderr. An error carries the exit code
// with which the process ends (exit.go).
//
// What is bounded: a .torrent fetched from a URL by its size, progress output
// by its rate. What cancels: the context given to run, which the first Ctrl-C
// ends; a command then stops its torrents cleanly and returns.
package main
