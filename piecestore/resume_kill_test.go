//go:build unix

package piecestore

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

const killWorkers = 3

// TestKilledProcess kills a process that downloads, ten times with SIGKILL at
// some moment. Each time what is trusted is right and has all that was done,
// and no more is to be checked than the pieces that its workers had in flight.
func TestKilledProcess(t *testing.T) {
	const marker = "SHOAL_TEST_KILLED"
	if dir := os.Getenv(marker); dir != "" {
		downloadUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	known := 0
	for run := range 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), marker+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		numDone := 0
		for want := rng.IntN(30); numDone < want && lines.Scan(); numDone++ {
			if lines.Text() == "PASS" {
				break // it has them all
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()

		d := &download{t: t, dir: dir, layout: killLayout(t)}
		d.start()
		if d.state.Reason != "" || d.state.Recheck.Count() > killWorkers {
			t.Fatalf("run %d: pieces %s are to be checked: %s", run, setString(d.state.Recheck), d.state.Reason)
		}
		// A process that came to its end before the kill prints a line more.
		if n := d.state.Verified.Count(); n < min(known+numDone, d.layout.geo.NumPieces()) {
			t.Fatalf("run %d: %d pieces are trusted, %d were done", run, n, known+numDone)
		}
		for i := range d.state.Verified.Members() {
			if !d.holds(i) {
				t.Fatalf("run %d: piece %d is trusted, and wrong", run, i)
			}
		}
		known = d.state.Verified.Count()
		d.kill()
	}
}

func killLayout(t *testing.T) *Layout {
	const pieceLen, numPieces = 64 << 10, 400
	geo, err := metainfo.NewGeometry(pieceLen*numPieces, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := NewLayout(geo, []File{
		{Path: "a", Length: 10_000_000}, {Path: "b", Length: 100}, {Path: "c", Length: pieceLen*numPieces - 10_000_100},
	})
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// content is what belongs into a piece.
func (d *download) content(pieceIndex int) []byte {
	return bytes.Repeat([]byte{byte(pieceIndex), byte(pieceIndex >> 8), 0xaa, 0x55}, d.layout.geo.PieceLen(pieceIndex)/4)
}

func (d *download) holds(pieceIndex int) bool {
	got := make([]byte, d.layout.geo.PieceLen(pieceIndex))
	_, err := d.files.ReadAt(got, d.layout.geo.PieceOffset(pieceIndex))
	return err == nil && bytes.Equal(got, d.content(pieceIndex))
}

// downloadUntilKilled is the process: it checks what it must, and then writes
// the missing pieces in small parts, with a line for each that is done.
func downloadUntilKilled(t *testing.T, dir string) {
	d := &download{t: t, dir: dir, layout: killLayout(t)}
	d.start()
	todo := make(chan int, d.layout.geo.NumPieces())
	for i := range d.layout.geo.NumPieces() {
		switch {
		case d.state.Verified.Has(i):
		case d.state.Recheck.Has(i) && d.holds(i):
			d.must(d.resume.Done(i))
		default:
			if d.state.Recheck.Has(i) {
				d.must(d.resume.Absent(i))
			}
			todo <- i
		}
	}
	close(todo)
	var running sync.WaitGroup
	for range killWorkers {
		running.Go(func() {
			for i := range todo {
				d.must(d.resume.Begin(i))
				b, off := d.content(i), d.layout.geo.PieceOffset(i)
				for from := 0; from < len(b); from += 4 << 10 {
					d.must(d.files.WriteAt([][]byte{b[from : from+4<<10]}, off+int64(from)))
				}
				d.must(d.resume.Done(i))
				fmt.Println(i)
			}
		})
	}
	running.Wait()
}
