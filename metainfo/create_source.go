package metainfo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// source is the file or folder that a torrent is made of.
type source struct {
	name     string
	folder   string // on disk; empty if the source is a single file
	files    []sourceFile
	totalLen int64
	findings findings
}

// sourceFile is a file of the source as it was when it was listed.
type sourceFile struct {
	diskPath string
	path     []string // below the folder
	offset   int64    // in bytes from the start of the torrent
	length   int64    // in bytes
	modTime  time.Time
}

// listSource finds the files. Nothing is read yet.
func listSource(ctx context.Context, diskPath string, exclude []string) (*source, error) {
	stat, err := os.Stat(diskPath)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(diskPath)
	if err != nil {
		return nil, err
	}
	src := &source{name: filepath.Base(absolute)}
	switch {
	case stat.IsDir():
		src.folder = diskPath
		err = src.listFolder(ctx, exclude)
	case stat.Mode().IsRegular():
		err = src.add(diskPath, []string{src.name}, stat)
	default:
		err = fmt.Errorf("%s is neither a file nor a folder", Printable(diskPath))
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(src.files) == 0:
		return nil, fmt.Errorf("%s has no files to share (or all of them are excluded)", Printable(diskPath))
	case src.totalLen == 0:
		return nil, fmt.Errorf("%s has only empty files, and a torrent needs at least one byte", Printable(diskPath))
	}
	return src, nil
}

// listFolder adds the files of the folder in WalkDir's order, which is that of
// their paths, component by component and byte by byte: the order of BEP 52's
// file tree too, which hybrid torrents must keep.
func (src *source) listFolder(ctx context.Context, exclude []string) error {
	// Through a symbolic link WalkDir would not walk.
	root, err := filepath.EvalSymlinks(src.folder)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(diskPath string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w; make it readable or exclude it", err)
		}
		if ctx.Err() != nil || diskPath == root {
			return context.Cause(ctx)
		}
		relative, err := filepath.Rel(root, diskPath)
		if err != nil {
			return err
		}
		return src.visit(diskPath, filepath.ToSlash(relative), entry, exclude)
	})
}

func (src *source) visit(diskPath, relative string, entry fs.DirEntry, exclude []string) error {
	switch {
	case isExcluded(relative, exclude):
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	case entry.IsDir():
		return nil
	case !entry.Type().IsRegular():
		src.findings.add(FindSkipped, "%s is left out: it is %s", relative, kindOf(entry.Type()))
		return nil
	}
	stat, err := entry.Info()
	if err != nil {
		return err
	}
	return src.add(diskPath, strings.Split(relative, "/"), stat)
}

func (src *source) add(diskPath string, components []string, stat fs.FileInfo) error {
	for _, component := range components {
		if !utf8.ValidString(component) {
			return fmt.Errorf("the name %q is not UTF-8, as BEP 3 demands: rename it or exclude it", component)
		}
	}
	src.files = append(src.files, sourceFile{
		diskPath: diskPath,
		path:     components,
		offset:   src.totalLen,
		length:   stat.Size(),
		modTime:  stat.ModTime(),
	})
	if src.totalLen += stat.Size(); src.totalLen < 0 {
		return errors.New("the total length does not fit 64 bits")
	}
	return nil
}

// unchanged fails if a file is not any more what it was when it was listed.
func (src *source) unchanged() error {
	for _, f := range src.files {
		stat, err := os.Stat(f.diskPath)
		if err != nil {
			return err
		}
		if stat.Size() != f.length || !stat.ModTime().Equal(f.modTime) {
			return changedError(f.diskPath)
		}
	}
	return nil
}

func changedError(diskPath string) error {
	return fmt.Errorf("%s changed while it was being hashed: try again when nothing writes to it", Printable(diskPath))
}

func isExcluded(relative string, patterns []string) bool {
	for _, pattern := range patterns {
		inPath, _ := path.Match(pattern, relative)
		inName, _ := path.Match(pattern, path.Base(relative))
		if inPath || inName {
			return true
		}
	}
	return false
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device"
}
