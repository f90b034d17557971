package piecestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
)

// Files is a Storage in files below one folder. A file is made at its first
// write, with the folders that lead to it, and stays sparse until it is full.
// Everything is opened below an os.Root: a symbolic link planted in the folder
// cannot lead a read or a write out of it.
type Files struct {
	layout  *Layout
	root    *os.Root
	handles *Handles
	closed  atomic.Bool

	mu      sync.Mutex
	dirty   map[int]bool // file indices written since the last Sync
	syncErr error        // the first failure of fsync, see Sync
}

// OpenFiles opens the folder dir, which must exist, as the store of layout.
// The store keeps its open files in handles; nil means a set of its own. No
// file is touched yet.
func OpenFiles(dir string, layout *Layout, handles *Handles) (*Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if handles == nil {
		handles = NewHandles(0)
	}
	return &Files{layout: layout, root: root, handles: handles, dirty: make(map[int]bool)}, nil
}

// Layout returns the layout that the store was opened with.
func (f *Files) Layout() *Layout { return f.layout }

// Prepare gets the folder ready for a download: it makes the empty files and
// the symbolic links, which no write would make, and finds what a write would
// fail on later: ErrTooLong or ErrNotRegular at a file's name.
func (f *Files) Prepare() error {
	for i, file := range f.layout.files {
		if err := f.prepare(i, file); err != nil {
			return fmt.Errorf("file %q: %w", file.Path, err)
		}
	}
	return nil
}

func (f *Files) prepare(fileIndex int, file File) error {
	switch {
	case file.Pad:
		return nil
	case file.Symlink != "":
		return f.link(file)
	case file.Length == 0:
		h, err := f.handles.acquire(handleKey{f, fileIndex}, true)
		if err == nil {
			f.handles.release(h)
		}
		return err
	}
	info, err := f.root.Stat(localPath(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // such as a symbolic link that leads out of the folder
		return fmt.Errorf("%w; move it away or choose another folder", err)
	}
	return checkFile(info, file)
}

// link makes a symbolic link (BEP 47), unless something has its name already.
// NewLayout has seen to it that the target is a file of the torrent.
func (f *Files) link(file File) error {
	name := localPath(file)
	target, err := filepath.Rel(filepath.Dir(name), filepath.FromSlash(file.Symlink))
	if err != nil {
		return err
	}
	if err := f.root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	err = f.root.Symlink(target, name)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported):
		return nil // FAT has no links, and Windows asks for a right: every byte is there without
	}
	return err
}

// ReadAt implements Storage.
func (f *Files) ReadAt(p []byte, off int64) (n int, err error) {
	total := f.layout.geo.TotalLen()
	if err := checkRange(off, 0, total); err != nil {
		return 0, err
	}
	length := min(int64(len(p)), total-off)
	for s := range f.layout.spans(off, length) {
		m, err := f.readSpan(p[n:n+int(s.length)], s)
		n += m
		if err != nil {
			return n, fmt.Errorf("file %q: %w", f.layout.files[s.fileIndex].Path, err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *Files) readSpan(p []byte, s span) (int, error) {
	if f.layout.files[s.fileIndex].Pad {
		clear(p) // BEP 47: "the content of padding file is all zeros"
		return len(p), nil
	}
	h, err := f.handles.acquire(handleKey{f, s.fileIndex}, false)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrMissing
	}
	if err != nil {
		return 0, err
	}
	defer f.handles.release(h)
	n, err := h.file.ReadAt(p, s.off)
	if err == io.EOF && n < len(p) {
		return n, ErrMissing
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// WriteAt implements Storage, with one system call for each file touched.
func (f *Files) WriteAt(bufs [][]byte, off int64) error {
	length := lenOf(bufs)
	if err := checkRange(off, length, f.layout.geo.TotalLen()); err != nil {
		return err
	}
	rest := cursor{bufs: bufs}
	for s := range f.layout.spans(off, length) {
		part := rest.take(s.length)
		if f.layout.files[s.fileIndex].Pad {
			continue
		}
		if err := f.writeSpan(part, s); err != nil {
			return fmt.Errorf("file %q: %w", f.layout.files[s.fileIndex].Path, err)
		}
	}
	return nil
}

func (f *Files) writeSpan(bufs [][]byte, s span) error {
	h, err := f.handles.acquire(handleKey{f, s.fileIndex}, true)
	if err != nil {
		return err
	}
	defer f.handles.release(h)
	f.mark(s.fileIndex)
	h.writing.Lock()
	defer h.writing.Unlock()
	return pwritev(h.file, bufs, s.off)
}

// mark says that Sync has to sync a file.
func (f *Files) mark(fileIndex int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty[fileIndex] = true
}

// markPiece says that Sync has to sync the files of a piece, although it was
// not this store that wrote it.
func (f *Files) markPiece(pieceIndex int) {
	for s := range f.layout.pieceSpans(pieceIndex) {
		f.mark(s.fileIndex)
	}
}

// NextData implements Storage: it skips files that do not exist, what lies
// behind the end of a file, and the holes that the file system knows.
func (f *Files) NextData(off int64) int64 {
	total := f.layout.geo.TotalLen()
	if off < 0 || off >= total {
		return total
	}
	for i := f.layout.fileAt(off); i < len(f.layout.files); i++ {
		start, end := f.layout.offsets[i], f.layout.offsets[i+1]
		if start == end || f.layout.files[i].Pad {
			continue
		}
		from := max(off, start)
		if next := start + f.nextDataIn(i, from-start); next < end {
			return next
		}
	}
	return total
}

// nextDataIn returns the first offset in file fileIndex from off on that may
// hold data, or the file's length.
func (f *Files) nextDataIn(fileIndex int, off int64) int64 {
	fileLen := f.layout.files[fileIndex].Length
	h, err := f.handles.acquire(handleKey{f, fileIndex}, false)
	if errors.Is(err, fs.ErrNotExist) {
		return fileLen
	}
	if err != nil {
		return off // the read that follows reports it
	}
	defer f.handles.release(h)
	return min(seekData(h.file, off, fileLen), fileLen)
}

// Sync implements Storage. A failure is final, and repeated by each later
// call: the kernel reports a failed write-back once and drops the pages, so a
// second fsync would succeed although the bytes are lost.
func (f *Files) Sync() error {
	if f.closed.Load() {
		return fmt.Errorf("store: %w", os.ErrClosed)
	}
	f.mu.Lock()
	dirty, err := f.dirty, f.syncErr
	f.dirty = make(map[int]bool)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range dirty {
		if err := f.syncFile(i); err != nil {
			err = fmt.Errorf("file %q: %w; verify the data again", f.layout.files[i].Path, err)
			f.mu.Lock()
			f.syncErr = err
			f.mu.Unlock()
			return err
		}
	}
	return nil
}

// syncFile asks for a handle that can write only where fsync needs it: a seed
// may own nothing but the right to read.
func (f *Files) syncFile(fileIndex int) error {
	h, err := f.handles.acquire(handleKey{f, fileIndex}, runtime.GOOS == "windows")
	if err != nil {
		return err
	}
	defer f.handles.release(h)
	return h.file.Sync()
}

// Close implements Storage.
func (f *Files) Close() error {
	if f.closed.Swap(true) {
		return fmt.Errorf("store: %w", os.ErrClosed)
	}
	f.handles.closeStore(f)
	return f.root.Close()
}

// FileStat is what tells that a file has changed: its size in bytes, -1 if it
// does not exist, and its time of modification in nanoseconds since 1970.
type FileStat struct {
	Size      int64
	ModTimeNs int64
}

// Stat returns the size and time of file fileIndex. A file that does not
// exist, cannot be reached or is not a regular file has size -1, and so has a
// padding file.
func (f *Files) Stat(fileIndex int) FileStat {
	file := f.layout.files[fileIndex]
	if file.Pad {
		return FileStat{Size: -1}
	}
	info, err := f.root.Stat(localPath(file))
	if err != nil || !info.Mode().IsRegular() {
		return FileStat{Size: -1}
	}
	return FileStat{Size: info.Size(), ModTimeNs: info.ModTime().UnixNano()}
}

// open opens file fileIndex; for writing it makes it if need be.
func (f *Files) open(fileIndex int, write bool) (*os.File, error) {
	if f.closed.Load() {
		return nil, fmt.Errorf("store: %w", os.ErrClosed)
	}
	file := f.layout.files[fileIndex]
	if !write {
		return f.openRead(file)
	}
	opened, err := f.openWrite(file)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil {
		err = checkFile(info, file)
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// openRead looks before it opens, because opening a pipe waits for its writer.
func (f *Files) openRead(file File) (*os.File, error) {
	info, err := f.root.Stat(localPath(file))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	return f.root.Open(localPath(file))
}

func (f *Files) openWrite(file File) (*os.File, error) {
	perm := fs.FileMode(0o666)
	if file.Executable {
		perm = 0o777
	}
	name := localPath(file)
	opened, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, perm)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return nil, err
		}
		opened, err = f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, perm)
	}
	return opened, err
}

// checkFile fails if what is at a file's place must not be written to.
func checkFile(info fs.FileInfo, file File) error {
	if !info.Mode().IsRegular() {
		return ErrNotRegular
	}
	if info.Size() > file.Length {
		return ErrTooLong
	}
	return nil
}

func localPath(file File) string { return filepath.FromSlash(path.Clean(file.Path)) }

// cursor walks through a list of buffers without changing it.
type cursor struct {
	bufs [][]byte
	skip int // bytes of bufs[0] that were taken already
}

// take returns the next n bytes as a list of buffers. It makes a list of its
// own only if a buffer must be cut.
func (c *cursor) take(n int64) [][]byte {
	if c.skip == 0 && lenOf(c.bufs) == n {
		all := c.bufs
		c.bufs = nil
		return all
	}
	var part [][]byte
	for n > 0 {
		buf := c.bufs[0][c.skip:]
		if int64(len(buf)) > n {
			part = append(part, buf[:n])
			c.skip += int(n)
			return part
		}
		part = append(part, buf)
		n -= int64(len(buf))
		c.bufs, c.skip = c.bufs[1:], 0
	}
	return part
}
