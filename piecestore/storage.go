package piecestore

import (
	"errors"
	"fmt"
	"syscall"
)

// Storage holds the bytes of one torrent. Offsets count from the start of the
// torrent, as if its files were one after the other. All methods may be called
// at the same time; of two writes that overlap, either may win. The suite in
// storetest holds every implementation to this.
type Storage interface {
	// ReadAt reads len(p) bytes from off, as io.ReaderAt. It fails with
	// io.EOF at the end of the torrent and with ErrMissing where the store
	// knows that nothing was written; other bytes that were never written
	// read as zeros.
	ReadAt(p []byte, off int64) (n int, err error)

	// WriteAt writes the buffers one after the other from off. It fails with
	// ErrBounds, and writes nothing, if they do not lie inside the torrent.
	// After any other error some of the bytes may have been written. Neither
	// the slice nor the buffers are changed or kept.
	WriteAt(bufs [][]byte, off int64) error

	// NextData returns the first offset from off on that may hold written
	// bytes, or the length of the torrent if there is none. A store that
	// cannot tell, or is closed, returns off: the read that follows then says
	// what is wrong.
	NextData(off int64) int64

	// Sync returns once all that was written before would survive the loss
	// of power.
	Sync() error

	// Close releases what the store holds open. Later calls of other methods
	// fail with an error that wraps os.ErrClosed.
	Close() error
}

// What a Storage fails with where callers branch.
var (
	// ErrMissing says that the bytes asked for are not there: the file does
	// not exist or is too short.
	ErrMissing = errors.New("the data is not there")

	// ErrBounds says that a range does not lie inside the torrent.
	ErrBounds = errors.New("outside of the torrent")

	// ErrTooLong says that a file to be written is longer than the torrent
	// says. It is most likely another file of the user's, so it is never cut.
	ErrTooLong = errors.New("the file is longer than in the torrent; move it away or choose another folder")

	// ErrNotRegular says that something else than a file has a file's name: a
	// folder, a pipe, a device.
	ErrNotRegular = errors.New("not a regular file; move it away or choose another folder")
)

// IsNoSpace reports whether err means that the disk is full or the user's
// quota used up: a condition that the user can end, so that a download pauses
// instead of failing.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// checkRange fails with ErrBounds unless length bytes from off lie inside a
// torrent of totalLen bytes.
func checkRange(off, length, totalLen int64) error {
	if off < 0 || length < 0 || off > totalLen || length > totalLen-off {
		return fmt.Errorf("%d bytes from %d of %d: %w", length, off, totalLen, ErrBounds)
	}
	return nil
}

// lenOf is the number of bytes in bufs.
func lenOf(bufs [][]byte) (n int64) {
	for _, buf := range bufs {
		n += int64(len(buf))
	}
	return n
}
