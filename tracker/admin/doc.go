// Package admin is the HTTP API of a private tracker: an [API] answers JSON
// about users, invitations, torrents, promotions, findings and sums, and
// changes them. The operator shows a token of a file ([Tokens]), a user his own
// key, and what a user may do is what his [account.Role] says.
//
// Bodies, lists, headers, uploads at a time and failed attempts to get in are
// bounded. An API has no goroutine; [API.Run] serves it until its context ends.
// No key and no token reaches a log. openapi.yaml describes every route.
package admin
