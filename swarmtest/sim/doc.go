// Package sim runs swarms in virtual time.
//
// A Kernel delivers Events to Entities in the order of virtual time. Every
// entity sits on a host with an access link; a flow is a stream of blocks and
// messages from one host to another, serialised on the sender's uplink and
// the receiver's downlink. A Swarm is one user of the kernel: peers that each
// run a peer/engine with a peer/quota, and a tracker. A seed of several contents
// runs an engine for each, and they share its host and its quota.
//
// A swarm can use several processors: then several kernels share its hosts out
// and run side by side for a window of virtual time, the least latency, in
// which no host can reach another; then they exchange what they have for each
// other. Events are ordered by their time, the host that scheduled them and how
// many it had scheduled, so each host sees the same events in the same order
// whatever kernel it belongs to.
//
// Nothing here starts a goroutine (a Swarm.Pool has them) or reads a clock, no
// order of a map reaches an event, and each entity draws from a random stream
// of its own, so one seed gives one transcript.
//
// Every run is bounded: by the virtual time it is given, by the virtual time
// it may spend without progress, and by the events it may spend on one
// instant. It says which of them ended it. Kernel.Stop and Swarm.Interrupted
// end a run earlier.
//
// # The network that is modelled
//
// Blocks of 16 KiB are the unit of the links, for packets would cost ten times
// the events. An uplink sends one block at a time and goes round the flows
// that have one, so n flows get 1/n of it each, as TCP connections with
// similar round trips would. A flow holds a bounded window of blocks between
// the uplink and the receiver, as TCP does, so a slow downlink slows the flow
// and not the other flows of the sender. Blocks cut through: the first byte
// reaches the downlink while the last one is still leaving the uplink.
//
// Messages go in front of blocks at the full rate of the link, also in front
// of blocks of their own flow that wait or are being sent; their bytes delay
// the block behind them. There is no jitter and no congestion between
// the access links. Loss is a cap on the rate of a flow.
//
// # Faults
//
// A Fault acts on a peer by an event of its own, or is a span of time that everybody can look up: nothing
// depends on who simulates whom. What a partition holds back is held where it would leave the network.
package sim
