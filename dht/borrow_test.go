package dht

import (
	"os"
	"path/filepath"
	"testing"
)

// A node that borrows joins through the saved nodes, and leaves the file to
// its owner.
func TestBorrowedState(t *testing.T) {
	others := newTestNetwork(t, 4, Config{})
	path := filepath.Join(t.TempDir(), "dht.state")
	owner := newTestServer(t, Config{StateFile: path}, others[0].Addrs()[0].String())
	await(t, "the owner to join", owner.Ready())
	closeServer(t, owner)
	saved := mustRead(t, path)

	s := newTestServer(t, Config{StateFile: path, BorrowState: true, ReadOnly: true})
	await(t, "the borrower to join", s.Ready())
	if s.Stats().ID == owner.Stats().ID {
		t.Error("two nodes have the same id")
	}
	closeServer(t, s)
	if string(mustRead(t, path)) != string(saved) {
		t.Error("the file has changed")
	}
}

func TestBorrowedStateThatIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dht.state")
	if err := os.WriteFile(path, []byte("no state"), 0o666); err != nil {
		t.Fatal(err)
	}
	closeServer(t, newTestServer(t, Config{StateFile: path, BorrowState: true}))
	if string(mustRead(t, path)) != "no state" {
		t.Error("the file has changed")
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
