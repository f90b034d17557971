package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// copyTo copies a database into a temporary file beside path, and renames it.
func copyTo(ctx context.Context, db *sql.DB, path string) error {
	temp, err := emptyFile(path)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // in vain after the rename
	// The file is there and empty, so that only its owner can read it.
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", temp); err != nil {
		return err
	}
	if err := sync(temp); err != nil {
		return err
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
	if _, err := os.Stat(backup); err != nil {
		return fmt.Errorf("restore: %w", err)
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
		return fmt.Errorf("restore: backup %s: %w", backup, err)
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

// emptyFile makes a temporary file beside path.
func emptyFile(path string) (name string, err error) {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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
