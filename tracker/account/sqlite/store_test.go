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
	return createAt(t, filepath.Join(t.TempDir(), "tracker 100%?#.db"))
}

// createAt is create, in a file.
func createAt(tb testing.TB, path string) *Store {
	tb.Helper()
	st, err := Create(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

func createAnna(t *testing.T, st *Store) account.User {
	t.Helper()
	anna, err := st.CreateUser(t.Context(), account.User{Name: "anna"}, account.KeyHash{1})
	if err != nil {
		t.Fatal(err)
	}
	return anna
}
