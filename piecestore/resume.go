package piecestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// maxJournalLen is how many bytes of journal are written before they are
// folded into a new checkpoint: some 20,000 pieces. Arbitrary; reading it
// takes a few milliseconds.
const maxJournalLen = 1 << 20

// inFlightWindow is how much later than the journal's last record a write that
// was in flight at a crash can have changed a file. Such a write follows its
// record at once; the window is for a disk that stalls. A file changed later
// than that was changed by somebody else.
const inFlightWindow = time.Minute

// Resume remembers across runs which pieces of a download were verified. It is
// a file with a checkpoint of the whole state and, behind it, a journal: a
// record before the bytes of a piece change, and one when the piece is
// verified and written. So a process that was killed has to check again only
// the pieces in flight, and a file that somebody else changed shows by a size
// or time that no piece in flight explains. Records are not synced one by one;
// what they say holds as long as the system runs. After a restart of the
// system, only what was there at the last Sync is believed.
//
// All methods may be called at the same time.
type Resume struct {
	path     string
	infoHash metainfo.InfoHash
	files    *Files
	geo      metainfo.Geometry

	mu      sync.Mutex
	state   *journalState
	file    *os.File
	size    int64 // bytes of file that are good
	base    int64 // bytes of file that are checkpoint
	broken  error // set once the file can no longer be appended to
	scratch []byte
}

// State is what a Resume knew when it was opened.
type State struct {
	// Verified are the pieces that can be trusted without reading them.
	Verified *bitfield.Set
	// Recheck are the pieces that may be in the store and must be verified
	// before they are trusted. Tell Done or Absent for each of them.
	Recheck *bitfield.Set
	// Uploaded and Downloaded are the bytes of payload moved so far.
	Uploaded, Downloaded int64
	// Reason says in words why pieces must be checked that were not in flight;
	// it is empty if there are none.
	Reason string
}

// OpenResume reads the resume file at path, compares it with the files of the
// store, and writes it anew. A file that does not exist, is damaged, or
// belongs to another torrent is no error: then nothing is trusted, and Recheck
// holds the pieces of all files that exist. An error means that the file
// cannot be written.
func OpenResume(path string, infoHash metainfo.InfoHash, files *Files) (*Resume, State, error) {
	r := &Resume{path: path, infoHash: infoHash, files: files, geo: files.layout.geo}
	state, writtenNs, err := r.read()
	now := statAll(files)
	audit := audit{layout: files.layout, state: state, now: now, writtenNs: writtenNs, boot: bootID()}
	audit.run(err)
	r.state = state
	r.state.boot, r.state.stats = audit.boot, now
	opened := State{
		Verified: state.verified.Clone(), Recheck: state.inFlight.Clone(),
		Uploaded: state.uploaded, Downloaded: state.downloaded, Reason: audit.reason,
	}
	if err := r.rewrite(); err != nil {
		return nil, State{}, fmt.Errorf("resume file: %w", err)
	}
	for pieceIndex := range state.verified.Members() {
		if !state.durable.Has(pieceIndex) { // written by a process that was killed
			files.markPiece(pieceIndex)
		}
	}
	return r, opened, nil
}

// Begin says that the bytes of a piece in the store are about to change. Call
// it before each Assembly.Write and Spill, and do not write if it fails.
func (r *Resume) Begin(pieceIndex int) error {
	return r.note(recordBegin, pieceIndex)
}

// Done says that a piece was verified and is written, after Begin or as the
// result of a check.
func (r *Resume) Done(pieceIndex int) error {
	return r.note(recordDone, pieceIndex)
}

// Absent says that the store does not hold a piece, and that nobody writes it:
// it was dropped after Begin, or a check found it wrong.
func (r *Resume) Absent(pieceIndex int) error {
	return r.note(recordAbsent, pieceIndex)
}

// SetTotals notes the bytes of payload moved so far, earlier runs included.
func (r *Resume) SetTotals(uploaded, downloaded int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.uploaded, r.state.downloaded = uploaded, downloaded
	return r.append(recordTotals, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(b, uint64(uploaded))
		return binary.BigEndian.AppendUint64(b, uint64(downloaded))
	})
}

// Sync brings the data and then the journal to the disk, so that the pieces
// done before it are trusted even after the power was lost. It takes as long
// as the disk needs for the data; other calls go on meanwhile.
func (r *Resume) Sync() error {
	r.mu.Lock()
	synced := r.state.verified.Clone()
	r.mu.Unlock()
	if err := r.files.Sync(); err != nil {
		return fmt.Errorf("resume file: sync: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.setDurable(synced)
	err := r.append(recordSync, func(b []byte) []byte { return append(b, r.state.durable.Bytes()...) })
	if err == nil && r.file != nil {
		err = r.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("resume file: sync: %w", err)
	}
	return nil
}

// Checkpoint folds the journal into a new checkpoint. It happens by itself as
// the journal grows; to call it is good after an error, when there is room
// again on the disk.
func (r *Resume) Checkpoint() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.rewrite(); err != nil {
		return fmt.Errorf("resume file: %w", err)
	}
	return nil
}

// Close writes a last checkpoint and closes the file. It does not sync the
// data: call Sync before, if the piece set should outlive a loss of power.
func (r *Resume) Close() error {
	err := r.Checkpoint()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
	r.broken = os.ErrClosed
	return err
}

// note journals a step of a piece. The sizes and times of its files are taken
// and written under the lock: else a slower worker could write older ones over
// those of a faster, and the file would seem to have been changed by others.
func (r *Resume) note(kind byte, pieceIndex int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind == recordDone {
		r.files.markPiece(pieceIndex)
	}
	err := r.append(kind, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(pieceIndex))
		if kind == recordBegin {
			return b
		}
		for s := range r.files.layout.pieceSpans(pieceIndex) {
			b = binary.BigEndian.AppendUint32(b, uint32(s.fileIndex))
			b = appendStat(b, r.files.Stat(s.fileIndex))
		}
		return b
	})
	if err == nil || kind != recordBegin {
		// What was done is true although it could not be noted: the next
		// checkpoint has it.
		r.state.apply(kind, r.scratch[5:len(r.scratch)-4])
	}
	if err == nil && r.size-r.base > max(maxJournalLen, r.base) {
		err = r.rewrite()
	}
	if err != nil {
		return fmt.Errorf("resume file: piece %d: %w", pieceIndex, err)
	}
	return nil
}

// append writes one record to the journal, with one system call. The caller
// holds mu. Of a record that was not written whole nothing may stay: what
// follows it would not be read.
//
// A file that failed even at that is replaced by a new one as soon as the disk
// takes it: what waits for the store asks again.
func (r *Resume) append(kind byte, payload func([]byte) []byte) error {
	r.scratch = appendRecord(r.scratch[:0], kind, payload)
	if r.broken != nil {
		if err := r.rewrite(); err != nil {
			return errors.Join(r.broken, err)
		}
	}
	n, err := r.file.WriteAt(r.scratch, r.size)
	if err == nil {
		r.size += int64(n)
		return nil
	}
	if cutErr := r.file.Truncate(r.size); cutErr != nil {
		r.broken = errors.Join(err, cutErr)
	}
	return err
}

// rewrite replaces the file by a new one that holds only a checkpoint: written
// under another name, synced, and renamed, so that a full disk or a crash
// leaves the old one. The caller holds mu.
func (r *Resume) rewrite() error {
	if r.broken == os.ErrClosed {
		return r.broken
	}
	b, err := appendCheckpoint(nil, r.infoHash, r.geo, r.state)
	if err != nil {
		return err
	}
	file, err := writeBeside(r.path, b)
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), r.path); err != nil {
		file.Close()
		os.Remove(file.Name())
		return err
	}
	syncDir(filepath.Dir(r.path))
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.size, r.base, r.broken = file, int64(len(b)), int64(len(b)), nil
	return nil
}

// writeBeside writes b to a new file next to path and syncs it. The file is
// made, never followed: a symbolic link planted at its name is removed.
func writeBeside(path string, b []byte) (*os.File, error) {
	name := path + ".new"
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		file.Close()
		os.Remove(name)
		return nil, err
	}
	return file, nil
}

// syncDir makes a rename outlive a loss of power. Some systems cannot sync a
// folder; they then show the old file or the new one, and both are good.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// read reads the file as it is on disk, and when it was last written. With an
// error it returns a state that knows nothing.
func (r *Resume) read() (st *journalState, writtenNs int64, err error) {
	numFiles := r.files.layout.NumFiles()
	nothing := newJournalState(r.geo.NumPieces(), numFiles)
	// Not to block: a named pipe in its place is damaged, and holds up nothing.
	file, err := os.OpenFile(r.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nothing, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nothing, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxResumeLen {
		return nothing, 0, errResumeDamaged
	}
	b, err := io.ReadAll(io.LimitReader(file, maxResumeLen))
	if err != nil {
		return nothing, 0, err
	}
	st, _, err = parseResume(b, r.infoHash, r.geo, numFiles)
	if err != nil {
		return nothing, 0, err
	}
	return st, info.ModTime().UnixNano(), nil
}

func statAll(files *Files) []FileStat {
	stats := make([]FileStat, files.layout.NumFiles())
	for i := range stats {
		stats[i] = files.Stat(i)
	}
	return stats
}
