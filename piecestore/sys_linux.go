package piecestore

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxVectors is the most buffers one pwritev takes: IOV_MAX of Linux.
const maxVectors = 1024

// pwritev writes bufs to file from off: one system call, unless there are more
// buffers than it takes or the kernel cuts it short. The caller holds file
// open for as long.
func pwritev(file *os.File, bufs [][]byte, off int64) error {
	fd := int(file.Fd())
	rest := cursor{bufs: bufs}
	for left := lenOf(bufs); left > 0; {
		n, err := unix.Pwritev(fd, rest.bufs[:min(len(rest.bufs), maxVectors)], off)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return os.NewSyscallError("pwritev", err)
		case n == 0:
			return io.ErrShortWrite
		}
		off, left = off+int64(n), left-int64(n)
		rest.drop(n)
	}
	return nil
}

// drop moves on by n bytes, which a write took.
func (c *cursor) drop(n int) {
	for n > 0 && n >= len(c.bufs[0]) {
		n -= len(c.bufs[0])
		c.bufs = c.bufs[1:]
	}
	if n > 0 {
		// A buffer was cut, which the kernel does only on a full disk, at a
		// limit or on a signal: this list is our own from here on.
		c.bufs = append([][]byte{c.bufs[0][n:]}, c.bufs[1:]...)
	}
}

// seekData returns the first offset from off on where file holds data, or
// fileLen if there is none. If the file system cannot tell, it returns off.
func seekData(file *os.File, off, fileLen int64) int64 {
	next, err := unix.Seek(int(file.Fd()), off, unix.SEEK_DATA)
	switch err {
	case nil:
		return next
	case unix.ENXIO: // lseek(2): off is past the end or in a hole at the end
		return fileLen
	default:
		return off
	}
}
