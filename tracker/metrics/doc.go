// Package metrics tells how a tracker is doing: a [Page] serves Prometheus
// metrics, /healthz (the process answers) and /readyz (it does its work).
//
// All is read from the counters of the server and the accounts when it is asked
// for, so the way of an announce has nothing to do with it. Labels have fixed
// values: no user, key, info-hash or address becomes one, so the number of
// series is bounded. A Page has no goroutine.
package metrics
