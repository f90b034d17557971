package sqlite

import (
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/shoal-bt/shoal/tracker/account"
)

// array scans a BLOB of exactly its length.
type array []byte

// Scan is that of sql.Scanner.
func (a array) Scan(value any) error {
	b, ok := value.([]byte)
	if !ok || len(b) != len(a) {
		return fmt.Errorf("expected %d bytes, found %T", len(a), value)
	}
	copy(a, b)
	return nil
}

// unixTime scans nanoseconds since the Unix epoch; 0 is the zero time.
type unixTime time.Time

// Scan is that of sql.Scanner.
func (t *unixTime) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("expected a time, found %T", value)
	}
	*t = unixTime{}
	if n != 0 {
		*t = unixTime(time.Unix(0, n))
	}
	return nil
}

// unixNano is the other direction.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// explain makes of the database's error the one that callers tell apart.
func explain(err error, what string) error {
	var failure *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure) && (failure.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || failure.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
		return fmt.Errorf("%s: %w", what, account.ErrExists)
	}
	return fmt.Errorf("%s: database: %w", what, err)
}

// affected makes ErrNotFound of a change that found nothing to change.
func affected(n int64, what string) error {
	if n == 0 {
		return fmt.Errorf("%s: %w", what, account.ErrNotFound)
	}
	return nil
}
