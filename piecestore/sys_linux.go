package piecestore

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxVectors is the most buffers that one pwritev is given; IOV_MAX of Linux is
// 1024, but maxWriteLen is reached long before.
const maxVectors = 16

// maxWriteLen is the most bytes that one pwritev is given. More would save
// system calls and cost more than it saves: for a write of 1 MiB into a new file,
// ext4 takes folios of up to that size from the largest free blocks of memory, which
// are the coldest, and in a virtual machine often not backed by the host yet.
// Measured there, with a download of 1 GiB: 1 MiB 3.5, 256 KiB 2.0, 64 KiB 0.8 and
// 16 KiB 1.0 seconds in the kernel.
const maxWriteLen = 64 << 10

// pwritev writes bufs to file from off, in as few system calls as maxWriteLen
// lets it. The caller holds file open for as long.
func pwritev(file *os.File, bufs [][]byte, off int64) error {
	fd := int(file.Fd())
	rest := cursor{bufs: bufs}
	var list [maxVectors][]byte
	for left := lenOf(bufs); left > 0; {
		n, err := unix.Pwritev(fd, rest.head(list[:0]), off)
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

// head appends to list the next buffers, up to its capacity and maxWriteLen.
func (c *cursor) head(list [][]byte) [][]byte {
	left, skip := maxWriteLen, c.skip
	for _, buf := range c.bufs {
		buf, skip = buf[skip:], 0
		if left == 0 || len(list) == cap(list) {
			break
		}
		buf = buf[:min(len(buf), left)]
		left -= len(buf)
		list = append(list, buf)
	}
	return list
}

// drop moves on by n bytes, which a write took.
func (c *cursor) drop(n int) {
	for c.skip += n; len(c.bufs) > 0 && c.skip >= len(c.bufs[0]); c.bufs = c.bufs[1:] {
		c.skip -= len(c.bufs[0])
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
