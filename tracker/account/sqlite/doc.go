// Package sqlite keeps a private tracker's accounts in one file. A [Store] is an
// open database; a migration is a numbered step that brings an older file to
// today's tables, forward only; a backup is a copy of one moment, made while
// the tracker runs.
//
// There is one connection that writes, and a few that read beside it (SQLite's
// write-ahead log). Other processes, such as commands, may use the file at the
// same time; a write waits for theirs for as long as [BusyTimeout], and then
// fails. [Store.Close] ends it; nothing runs in between.
package sqlite
