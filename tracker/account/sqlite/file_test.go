package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

// raw runs a statement beside the Store.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	db := connect(path, "", 1)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	_, err := Open(t.Context(), path)
	wantError(t, err, "shoal tracker init")
	st := createAt(t, path)
	st.Close()
	if stat, _ := os.Stat(path); stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: others can read it", stat.Mode())
	}
	_, err = Create(t.Context(), path)
	wantError(t, err, "is there already")
	raw(t, path, "PRAGMA user_version = 1000")
	_, err = Open(t.Context(), path)
	wantError(t, err, "a newer Shoal made it: its tables have version 1000, this Shoal knows 1;")

	other := filepath.Join(dir, "other.db")
	raw(t, other, "CREATE TABLE cookies (x)")
	_, err = Open(t.Context(), other)
	wantError(t, err, "another program's")

	text := filepath.Join(dir, "text")
	os.WriteFile(text, bytes.Repeat([]byte("no database "), 1000), 0o600)
	_, err = Open(t.Context(), text)
	wantError(t, err, "this is no database of a tracker; name another file, or restore a backup")
	if strings.Contains(err.Error(), "(26)") {
		t.Errorf("the text of SQLite: %v", err)
	}
	wantError(t, Restore(t.Context(), text, filepath.Join(dir, "restored.db")), "backup "+text+": this is no database of a tracker")
	wantError(t, Restore(t.Context(), dir, filepath.Join(dir, "restored.db")), "is not a file")

	empty := filepath.Join(dir, "empty.db")
	os.WriteFile(empty, nil, 0o600)
	for range 2 { // the first has not made a database of it
		_, err = Open(t.Context(), empty)
		wantError(t, err, "an empty file; restore a backup")
	}
	_, err = Open(t.Context(), dir)
	wantError(t, err, "is a folder")
}

// Root may do everything, so a file that may not be opened is a code here.
func TestDatabaseThatMayNotBeUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.db")
	db := connect(path, forBackups, 1)
	defer db.Close()
	wantError(t, withAdvice(db.PingContext(t.Context())), "have to be readable and writable for you")
}

// Damage is found at the start, and not when a user asks.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	st := createAt(t, path)
	for n := range byte(200) {
		if _, err := st.CreateUser(t.Context(), account.User{Name: strings.Repeat("x", 50) + string('a'+rune(n/16)) + string('a'+rune(n%16))}, account.KeyHash{n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("xxxx")) &^ 4095 // the page of some users
	copy(b[at:], bytes.Repeat([]byte{0xff}, 512))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path)
	wantError(t, err, "restore a backup")
}

// Each step is made once, and a step that fails changes nothing.
func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db := connect(path, forWriting, 1)
	defer db.Close()
	steps := []string{"CREATE TABLE a (x); INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2); CREATE TABLE b (x)"}
	for n := range 3 {
		steps := steps[:min(n+1, 2)]
		for done := false; !done; {
			var err error
			if done, err = migrateOne(t.Context(), db, steps); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := migrateOne(t.Context(), db, append(steps, "INSERT INTO a VALUES (3); nonsense"))
	wantError(t, err, "step to version 3")
	var sum, version int
	if err := db.QueryRow("SELECT sum(x) FROM a").Scan(&sum); err != nil || sum != 3 {
		t.Error(sum, err)
	}
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != 2 {
		t.Error(version, err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup, again := filepath.Join(dir, "a.db"), filepath.Join(dir, "backup.db"), filepath.Join(dir, "again.db")
	st := createAt(t, path)
	defer st.Close()
	anna := createAnna(t, st)
	if err := st.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	wantError(t, st.Backup(t.Context(), backup), "move it away")
	// What comes afterwards is not in it.
	if err := st.Flush(t.Context(), account.RunID{1}, &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{{User: anna.ID, Totals: ledger.Totals{Uploaded: 1}}}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, Restore(t.Context(), backup, path), "move it away")
	wantError(t, Restore(t.Context(), filepath.Join(dir, "none"), again), "no such file")
	before, _ := os.ReadFile(backup)
	if err := Restore(t.Context(), backup, again); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(backup); !bytes.Equal(before, after) {
		t.Error("the backup was changed")
	}
	restored, err := Open(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if u, err := restored.User(t.Context(), "anna"); err != nil || u.Uploaded != 0 || u.ID != anna.ID {
		t.Errorf("%+v, %v", u, err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, _ := e.Info(); info.Mode().Perm() != 0o600 || strings.HasSuffix(e.Name(), ".new") {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	raw(t, backup, "PRAGMA user_version = 1000")
	wantError(t, Restore(t.Context(), backup, filepath.Join(dir, "third.db")), "a newer Shoal")
	os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600)
	wantError(t, Restore(t.Context(), filepath.Join(dir, "empty"), filepath.Join(dir, "third.db")), "it is empty")
}

// Backups to the same file at once do not write into each other's: one is made,
// and whole, and the others say that it is there.
func TestBackupsAtOnce(t *testing.T) {
	dir := t.TempDir()
	st := createAt(t, filepath.Join(dir, "a.db"))
	defer st.Close()
	path := filepath.Join(dir, "backup.db")
	errs := make(chan error)
	for range 8 {
		go func() { errs <- st.Backup(t.Context(), path) }()
	}
	numMade := 0
	for range 8 {
		if err := <-errs; err == nil {
			numMade++
		} else {
			wantError(t, err, "move it away")
		}
	}
	if numMade != 1 {
		t.Errorf("%d of 8 say that they made the backup", numMade)
	}
	if err := Restore(t.Context(), path, filepath.Join(dir, "again.db")); err != nil {
		t.Error(err)
	}
}

// A database that could not be made, as on a full disk, is not in the way of the
// next try.
func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(dir, "a.db")
	if _, err := Create(ctx, path); err == nil {
		t.Fatal("made without time")
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
	st := createAt(t, path)
	st.Close()
}

// A path is a file, whatever SQLite would take it for.
func TestOddPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{":memory:", "file:a", "a?mode=memory", "b#c", "d%20e", "./f"} {
		st := createAt(t, path)
		createAnna(t, st)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		st, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.User(t.Context(), "anna"); err != nil {
			t.Errorf("%q: %v", path, err)
		}
		st.Close()
	}
}

// A database that another process holds makes a flush fail, which can be tried
// again; it can be opened and read meanwhile.
func TestLockedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	st := createAt(t, path)
	defer st.Close()
	anna := createAnna(t, st)
	other := connect(path, "", 1)
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	execute(t, conn, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	batch := &ledger.Batch{Seq: 1, Deltas: []ledger.Delta{{User: anna.ID, Totals: ledger.Totals{Uploaded: 1}}}}
	if err := st.Flush(ctx, account.RunID{1}, batch); err == nil {
		t.Fatal("a flush into a locked database succeeds")
	}
	second, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for _, reader := range []*Store{st, second} {
		if _, err := reader.Load(t.Context()); err != nil {
			t.Error(err)
		}
	}
	execute(t, conn, "ROLLBACK")
	for range 2 {
		if err := st.Flush(t.Context(), account.RunID{1}, batch); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := st.User(t.Context(), "anna"); err != nil || u.Uploaded != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}

// What was stored last is remembered, however long ago that was, and with it up to
// when: a log is brought in from there on.
func TestLastFlush(t *testing.T) {
	st := createAt(t, filepath.Join(t.TempDir(), "a.db"))
	defer st.Close()
	for _, step := range []struct {
		run       byte
		at, after time.Duration
	}{{1, 7, 7}, {2, 5, 7}, {3, 9, 9}, {4, 8, 9}} {
		if err := st.Flush(t.Context(), account.RunID{step.run}, &ledger.Batch{Seq: 1, At: step.at}); err != nil {
			t.Fatal(err)
		}
		if at, err := st.LastFlush(t.Context()); err != nil || at != step.after {
			t.Errorf("after run %d: %v, %v; want %v", step.run, at, err, step.after)
		}
	}
}

func execute(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkFlush(b *testing.B) {
	st := createAt(b, filepath.Join(b.TempDir(), "a.db"))
	defer st.Close()
	batch := new(ledger.Batch)
	for n := range ledger.DefaultMaxBatch {
		key := ledger.SessionKey{User: ledger.UserID(n % 1000), Torrent: ledger.TorrentID(n)}
		batch.Deltas = append(batch.Deltas, ledger.Delta{User: key.User, Torrent: key.Torrent, RawUploaded: 1})
		batch.Sessions = append(batch.Sessions, ledger.Session{SessionKey: key})
	}
	for b.Loop() {
		batch.Seq++
		if err := st.Flush(b.Context(), account.RunID{1}, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/ledger.DefaultMaxBatch, "us/delta")
}
