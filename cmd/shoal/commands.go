package main

import "github.com/shoal-bt/shoal/metainfo"

// commands is the table of all commands, in the order of the overview. It is a
// function because the help and completion commands read it themselves.
func commands() []command {
	return []command{
		createCommand(),
		showCommand(),
		verifyCommand(),
		getCommand(),
		seedCommand(),
		shareCommand(),
		trackerCommand(),
		dhtCommand(),
		swarmCommand(),
		demoCommand(),
		versionCommand(),
		completionCommand(),
	}
}

// printable makes text from a torrent, a tracker, a peer or the command line
// safe for a terminal.
func printable(s string) string { return metainfo.Printable(s) }
