package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a copy of this moment to path, which must not exist. The
// tracker may run meanwhile. What is written by half never has the name.
func (st *Store) Backup(ctx context.Context, path string) error {
	if err := mustNotExist(path); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	from := connect(st.path, forBackups, 1)
	defer from.Close()
	if err := copyTo(ctx, from, path); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// copyTo copies a database into a temporary file beside path, and gives it that
// name. Of several that copy to the same path at once, each writes a file of its
// own and the first to be ready has the name.
func copyTo(ctx context.Context, db *sql.DB, path string) error {
	temp, err := emptyFile(path)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // in vain after a rename
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", temp); err != nil {
		return err
	}
	if err := sync(temp); err != nil {
		return err
	}
	return place(temp, path)
}

// place gives a file the name path, which nobody may have taken meanwhile: a
// database that is open must not be replaced. A file system without hard links
// can only rename, which looks at nothing.
func place(temp, path string) error {
	switch err := os.Link(temp, path); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return mustNotExist(path)
	}
	return os.Rename(temp, path)
}

// Restore makes the database at path, which must not exist, from a backup. The
// backup is checked first, and is not changed.
func Restore(ctx context.Context, backup, path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := mustNotExist(name); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	if stat, err := os.Stat(backup); err != nil {
		return fmt.Errorf("restore: %w", err)
	} else if !stat.Mode().IsRegular() {
		return fmt.Errorf("restore: backup %s is not a file", backup)
	}
	from := connect(backup, forBackups, 1)
	defer from.Close()
	err := checkVersion(ctx, from)
	if err == nil {
		err = pragmaCheck(ctx, from, "integrity_check")
	}
	if err == nil {
		err = copyTo(ctx, from, path)
	}
	if err != nil {
		return fmt.Errorf("restore: backup %s: %w", backup, withAdvice(err))
	}
	return nil
}

func mustNotExist(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already; move it away first", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// emptyFile makes a temporary file beside path, which only its owner can read.
// Its name is new and cannot be guessed, so that nobody else's file, and none
// that a link leads to, is written over.
func emptyFile(path string) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

func sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
