// Package certs finds the certificates of a tracker that serves HTTPS: [Files]
// are those of a certificate and its key, and [ACME] is an authority that issues
// them (RFC 8555). Both give a tls.Config.
//
// What the authority issued stays in a folder over a restart. Files are read at
// the start and when they are asked to look again; a pair that does not fit
// leaves the one that is there. [ACME] has goroutines of its own, which end with
// its context.
package certs
