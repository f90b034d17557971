//go:build !linux

package piecestore

import "os"

// pwritev writes bufs to file from off, with one system call for each.
func pwritev(file *os.File, bufs [][]byte, off int64) error {
	for _, buf := range bufs {
		n, err := file.WriteAt(buf, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// seekData returns the first offset from off on where file may hold data: here
// holes are not known, only the end of the file is.
func seekData(file *os.File, off, fileLen int64) int64 {
	if info, err := file.Stat(); err == nil && off >= info.Size() {
		return fileLen
	}
	return off
}
