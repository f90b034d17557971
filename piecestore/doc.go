// Package piecestore is where the bytes of a torrent live.
//
// A Storage holds them by their offset in the torrent: Files on disk, Memory
// in RAM. An Assembly puts the pieces of a download together: readers claim
// the slot of a block, read the payload straight into it and fill it; workers
// hash the piece in order, and write it with one vectored write. A Cache reads
// ahead for uploads, Verify hashes what is on disk already, and a Resume
// remembers across runs which pieces were verified.
//
// Bounded are: the memory of pieces in assembly (Pool, process-wide), the read
// cache (NewCache), the open file descriptors (Handles) and the size of a
// resume file. Nothing here starts a goroutine but Verify, which ends its own
// before it returns and is cancelled by its context; all other calls last as
// long as the disk takes.
package piecestore
