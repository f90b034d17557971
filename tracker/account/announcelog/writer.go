package announcelog

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// DefaultMaxLen is 1 GiB: 12 million announces.
const DefaultMaxLen = 1 << 30

// oldSuffix is that of the file before this one.
const oldSuffix = ".1"

// OlderPart is the path of the file that came before the log at path.
func OlderPart(path string) string { return path + oldSuffix }

// Config says where and how much. Zero means default, except for the Path.
type Config struct {
	Path string
	// MaxLen bounds the file in bytes. At that length it is renamed to
	// Path.1, in the place of the one before, and a new one begins.
	MaxLen int64
}

// Writer appends entries to a log. It is not safe for concurrent use.
type Writer struct {
	cfg Config
	f   *os.File
	len int64 // of whole entries, and the magic
}

// NewWriter opens a log, or begins one, and cuts off a torn end, so that what
// is appended is in its place.
func NewWriter(cfg Config) (*Writer, error) {
	if cfg.MaxLen == 0 {
		cfg.MaxLen = DefaultMaxLen
	}
	if cfg.MaxLen < int64(len(magic)+EntryLen) {
		return nil, fmt.Errorf("announce log: %d bytes are too few for an entry", cfg.MaxLen)
	}
	w := &Writer{cfg: cfg}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("announce log: %w", err)
	}
	return w, nil
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.cfg.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if w.len, err = wholeLen(f); err == nil {
		err = f.Truncate(w.len)
	}
	if err == nil && w.len == 0 {
		_, err = f.WriteAt([]byte(magic), 0)
		w.len = int64(len(magic))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", w.cfg.Path, err), f.Close())
	}
	w.f = f
	return nil
}

// wholeLen returns the length of a log without its torn end, 0 for an empty
// file.
func wholeLen(f *os.File) (int64, error) {
	stat, err := f.Stat()
	if err != nil || stat.Size() == 0 {
		return 0, err
	}
	begin := make([]byte, min(stat.Size(), int64(len(magic))))
	if _, err := io.ReadFull(f, begin); err != nil {
		return 0, err
	}
	switch {
	case string(begin) == magic:
		return stat.Size() - (stat.Size()-int64(len(magic)))%EntryLen, nil
	case string(begin) == magic[:len(begin)]:
		return 0, nil // it was torn at its very beginning
	}
	return 0, ErrNotALog
}

// Append writes whole entries, as AppendEntry makes them. After an error the
// file is as before, as far as the disk allows: they may be given again.
func (w *Writer) Append(entries []byte) error {
	if w.len+int64(len(entries)) > w.cfg.MaxLen && w.len > int64(len(magic)) {
		if err := w.rotate(); err != nil {
			return fmt.Errorf("announce log: %w", err)
		}
	}
	if _, err := w.f.WriteAt(entries, w.len); err != nil {
		return errors.Join(fmt.Errorf("announce log: %w", err), w.f.Truncate(w.len))
	}
	w.len += int64(len(entries))
	return nil
}

// rotate begins a new file. If it fails, the old one goes on.
func (w *Writer) rotate() error {
	if err := os.Rename(w.cfg.Path, OlderPart(w.cfg.Path)); err != nil {
		return err
	}
	old, oldLen := w.f, w.len
	if err := w.open(); err != nil {
		w.f, w.len = old, oldLen
		return errors.Join(err, os.Rename(OlderPart(w.cfg.Path), w.cfg.Path))
	}
	return old.Close()
}

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }
