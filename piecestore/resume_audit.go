package piecestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// audit compares what a resume file says with the files as they are, and takes
// every piece out of verified for which something speaks: what may still be
// there goes into inFlight, to be checked.
type audit struct {
	layout    *Layout
	state     *journalState
	now       []FileStat // by file index
	writtenNs int64      // when the journal was last written
	boot      string     // of the system that runs now
	lost      int        // files that somebody else changed
	reason    string
}

// run does the audit. readErr says why there is no resume file to believe; the
// state then knows nothing.
func (a *audit) run(readErr error) {
	if readErr != nil {
		a.distrust(readErr)
	} else {
		a.compare()
	}
	for pieceIndex := range a.state.verified.Len() {
		if !a.mayHold(pieceIndex) {
			a.state.absent(pieceIndex)
		}
	}
	if a.state.inFlight.Count() == 0 && a.lost == 0 {
		a.reason = ""
	}
}

func (a *audit) distrust(err error) {
	for fileIndex := range a.now {
		a.suspectFile(fileIndex)
	}
	if a.reason = err.Error(); errors.Is(err, fs.ErrNotExist) {
		a.reason = "there are files already, and no resume file"
	}
}

func (a *audit) compare() {
	restarted := a.boot == "" || a.boot != a.state.boot
	if restarted {
		a.suspectUnsynced()
	}
	// First find, then mark: a file is explained by the pieces in flight of
	// the journal, not by those that another file makes suspect.
	var changed []int
	for fileIndex, file := range a.layout.files {
		if file.Length > 0 && !file.Pad && !a.explained(fileIndex, restarted) {
			changed = append(changed, fileIndex)
		}
	}
	for _, fileIndex := range changed {
		a.suspectFile(fileIndex)
	}
	a.lost = len(changed)
	switch len(changed) {
	case 0:
	case 1:
		a.reason = fmt.Sprintf("%q has been changed", a.layout.files[changed[0]].Path)
	default:
		a.reason = fmt.Sprintf("%q and %d more have been changed", a.layout.files[changed[0]].Path, len(changed)-1)
	}
}

// mayHold reports whether the files are long enough to hold a piece.
func (a *audit) mayHold(pieceIndex int) bool {
	for s := range a.layout.pieceSpans(pieceIndex) {
		if a.now[s.fileIndex].Size < s.off+s.length {
			return false
		}
	}
	return true
}

// suspectUnsynced is for after a restart of the system, maybe by a loss of
// power: bytes that were written but not synced may be gone although the
// journal knows them.
func (a *audit) suspectUnsynced() {
	for pieceIndex := range a.state.verified.Members() {
		if !a.state.durable.Has(pieceIndex) {
			a.state.begin(pieceIndex)
			a.reason = "the system was restarted before the data was known to be on the disk"
		}
	}
}

// explained reports whether file fileIndex is as it was last noted, or has
// changed in a way that a write in flight explains: it grew or stayed, became
// newer, and that not long after the journal's last record.
func (a *audit) explained(fileIndex int, restarted bool) bool {
	noted, now := a.state.stats[fileIndex], a.now[fileIndex]
	if now == noted {
		return true
	}
	if now.Size < 0 || now.Size > a.layout.files[fileIndex].Length || !a.touchedInFlight(fileIndex) {
		return false
	}
	if now.ModTimeNs > a.writtenNs+int64(inFlightWindow) {
		return false
	}
	// After a loss of power, size and time may be those of any moment since
	// the last sync. What was synced lies before the present end of the file,
	// or mayHold finds it.
	return restarted || now.Size >= noted.Size && now.ModTimeNs >= noted.ModTimeNs
}

func (a *audit) touchedInFlight(fileIndex int) bool {
	first, end := a.layout.filePieces(fileIndex)
	for pieceIndex := first; pieceIndex < end; pieceIndex++ {
		if a.state.inFlight.Has(pieceIndex) {
			return true
		}
	}
	return false
}

// suspectFile takes the trust from all pieces of a file.
func (a *audit) suspectFile(fileIndex int) {
	first, end := a.layout.filePieces(fileIndex)
	for pieceIndex := first; pieceIndex < end; pieceIndex++ {
		a.state.begin(pieceIndex)
	}
}

// bootID names the time between two starts of the system. It is empty where
// the system does not tell, and then equal to nothing.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // random(4)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
