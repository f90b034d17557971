// Package dropdir looks after a folder that people put .torrent files into: a
// [Folder] tells at each [Folder.Scan] which torrents have come and which have
// gone, and which files are broken, each once.
//
// A folder is asked what is in it, and only files whose size or time differ
// from the last look are read. MaxFiles bounds what is kept. There is no
// goroutine; who wants to notice changes calls Scan every few seconds, which
// works on every file system, those over a network too.
package dropdir
