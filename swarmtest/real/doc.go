// Package real runs small scenarios for real: Shoal processes and an origin
// server, over sockets of the loopback interface, at the rates of the scenario.
//
// What was simulated is measured: Run appends to a result.Run the systems that it
// ran. Each host has an address of its own in 127.0.0.0/8, and nothing goes elsewhere: no DHT, no port
// mapping, no other interface. A swarm has a tracker, seeds and clients, each of them a process that
// Run started; they join and leave at the times of the demand. The origin is nginx where there is
// one, else a file server of this package, behind an uplink that all connections share.
//
// Check says what is too much, or cannot be done with real processes. The data
// is in a temporary folder. When Run returns, whatever for, its processes have ended and the
// folder is gone. The context given to it ends a run early.
package real
