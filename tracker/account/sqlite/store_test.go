package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/accounttest"
)

func TestContract(t *testing.T) {
	accounttest.Run(t, func(t *testing.T) account.Store { return create(t) })
}

// create returns a new database that the test closes.
func create(t *testing.T) *Store {
	t.Helper()
	st, err := Create(t.Context(), filepath.Join(t.TempDir(), "tracker 100%?#.db"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}
