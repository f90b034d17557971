package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// applicationID marks the file as a tracker's database ("SHOA"): SQLite opens
// any other program's just as well.
const applicationID = 0x53484F41

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the steps; the first makes version 1 of an empty file.
// A step that was published is never changed.
func migrations() (steps []string) {
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	for _, name := range names {
		b, err := migrationFiles.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		steps = append(steps, string(b))
	}
	return steps
}

// migrate brings a database to today's version, one step at a time, each whole
// or not at all. One that has it already is only read: opening it does not wait
// for another process that writes.
func (st *Store) migrate(ctx context.Context) error {
	steps := migrations()
	version, err := st.version(ctx)
	if err != nil || version >= len(steps) {
		return errors.Join(err, checkKnown(version, len(steps)))
	}
	for {
		done, err := migrateOne(ctx, st.write, steps)
		if done || err != nil {
			return err
		}
	}
}

// version reads the version of the tables.
func (st *Store) version(ctx context.Context) (int, error) {
	tx, err := st.read.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // it only reads
	return readVersion(ctx, tx)
}

// migrateOne makes the next step in a transaction that excludes other
// processes, which may have the same in mind.
func migrateOne(ctx context.Context, db *sql.DB, steps []string) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // in vain after the commit
	version, err := readVersion(ctx, tx)
	if err != nil {
		return false, err
	}
	if version >= len(steps) {
		return true, checkKnown(version, len(steps))
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version+1)
	if _, err := tx.ExecContext(ctx, steps[version]+";"+mark); err != nil {
		return false, fmt.Errorf("step to version %d: %w", version+1, err)
	}
	return false, tx.Commit()
}

// checkVersion refuses what cannot be opened, and an empty file.
func checkVersion(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() // it only reads
	version, err := readVersion(ctx, tx)
	if err == nil && version == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return err
	}
	return checkKnown(version, len(migrations()))
}

func checkKnown(version, known int) error {
	if version > known {
		return fmt.Errorf("a newer Shoal made it: its tables have version %d, this Shoal knows %d; use the newer one", version, known)
	}
	return nil
}

// readVersion returns the version of the tables, 0 for an empty file.
func readVersion(ctx context.Context, tx *sql.Tx) (version int, err error) {
	var application, numTables int
	err = errors.Join(
		tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application),
		tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&numTables),
	)
	switch {
	case err != nil:
		return 0, err
	case application != applicationID && (version != 0 || numTables != 0):
		return 0, errors.New("this is another program's database")
	}
	return version, nil
}
