package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	driver "modernc.org/sqlite" // it is called "sqlite"
)

// BusyTimeout is how long a write waits for another process's. Who holds the
// database for longer, for example by hand, makes the tracker try again later.
const BusyTimeout = 5 * time.Second

// numReaders is arbitrary: commands and pages read now and then.
const numReaders = 4

// Store is an account.Store in a file.
type Store struct {
	path        string
	write, read *sql.DB // one connection, and several
	// Tests end the process here.
	beforeCommit, afterCommit func()
}

// Create makes a new database at path, readable by its owner alone. It fails if
// there is a file.
func Create(ctx context.Context, path string) (*Store, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("database %s is there already; choose another name, or remove it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	st, err := open(ctx, path)
	if err != nil { // what is left is none, and would be in the way of the next try
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			os.Remove(name)
		}
	}
	return st, err
}

// Open opens the database at path, checks it, and brings older ones to today's
// tables. It fails if there is none, if it is damaged, or if a newer Shoal made
// it.
func Open(ctx context.Context, path string) (*Store, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, fmt.Errorf("database: %w; make one with \"shoal tracker init\"", err)
	case info.IsDir():
		return nil, fmt.Errorf("database %s is a folder; name the file", path)
	case info.Size() == 0 && !hasWAL(path):
		// To SQLite it is a database without tables. What made it empty, a full
		// disk or a mistake, must not pass for a tracker that has no users.
		return nil, fmt.Errorf("database %s is an empty file; restore a backup, or remove it and make a new one with \"shoal tracker init\"", path)
	}
	return open(ctx, path)
}

// hasWAL reports whether there is a write-ahead log beside the database: all of a
// new one may be in it.
func hasWAL(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func open(ctx context.Context, path string) (*Store, error) {
	st := &Store{path: path, write: connect(path, forWriting, 1), read: connect(path, forReading, numReaders)}
	err := st.migrate(ctx)
	if err == nil {
		err = st.quickCheck(ctx)
	}
	if err != nil {
		st.Close()
		return nil, fmt.Errorf("database %s: %w", path, withAdvice(err))
	}
	return st, nil
}

// withAdvice says what to do about a file that SQLite cannot use. Its own text,
// which can come several times, once for each pragma of a connection, does not.
func withAdvice(err error) error {
	// Of https://www.sqlite.org/rescode.html: the low byte is the primary code.
	const readOnly, cannotOpen, noDatabase = 8, 14, 26
	var failure *driver.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & 0xff {
	case readOnly:
		return errors.New("it cannot be written; its owner can let you")
	case cannotOpen:
		return errors.New("it cannot be opened; it and its folder have to be readable and writable for you")
	case noDatabase:
		return errors.New("this is no database of a tracker; name another file, or restore a backup")
	}
	return err
}

// The options of connections that write and that read beside them. Every commit
// reaches the disk (synchronous FULL): there is one every few seconds. Those
// for a backup leave the file as it is.
const (
	forWriting = "_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	forReading = "_pragma=query_only(1)"
	forBackups = "mode=ro"
)

// connect prepares connections, which open the file when they are used. The path
// becomes absolute: to SQLite ":memory:" is no file, and what follows two slashes
// is a host.
func connect(path, options string, most int) *sql.DB {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options +
		"&_pragma=busy_timeout(" + strconv.FormatInt(BusyTimeout.Milliseconds(), 10) + ")"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		panic(err) // the driver is not linked in
	}
	db.SetMaxOpenConns(most)
	return db
}

// Close closes the database.
func (st *Store) Close() error { return errors.Join(st.read.Close(), st.write.Close()) }

// Check reads the whole database and tells what is damaged.
func (st *Store) Check(ctx context.Context) error {
	return pragmaCheck(ctx, st.read, "integrity_check")
}

// quickCheck leaves out what takes long, whether indexes fit their tables.
func (st *Store) quickCheck(ctx context.Context) error {
	return pragmaCheck(ctx, st.read, "quick_check")
}

func pragmaCheck(ctx context.Context, db *sql.DB, pragma string) error {
	var text string
	if err := db.QueryRowContext(ctx, "PRAGMA "+pragma+"(1)").Scan(&text); err != nil {
		return err
	}
	if text != "ok" {
		return fmt.Errorf("it is damaged (%s); restore a backup", text)
	}
	return nil
}

// change runs a transaction that writes.
func (st *Store) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := st.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("database: %w", withAdvice(err))
	}
	defer tx.Rollback() // in vain after the commit
	if err := do(tx); err != nil {
		return err
	}
	if st.beforeCommit != nil {
		st.beforeCommit()
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if st.afterCommit != nil {
		st.afterCommit()
	}
	return nil
}
