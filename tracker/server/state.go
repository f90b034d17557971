package server

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// stateMagic begins a state file; the number is that of its version. The
// format is in docs/formats.md.
const stateMagic = "shoal-swarms-1\n\x00"

// saveEvery is how often Run writes the state file: what a crash may cost the
// swarms. Arbitrary; a peer announces six times as seldom.
const saveEvery = 5 * time.Minute

// errStateFile says that a file is no state file of ours, or damaged.
var errStateFile = errors.New("it is damaged, or no state file of this version")

// loadState enters what the state file holds. A file that cannot be read is set
// aside: peers announce again, so a tracker without it is of more use than
// none.
func (s *Server) loadState() error {
	path := s.cfg().StateFile
	if stat, err := os.Stat(path); err == nil && !stat.Mode().IsRegular() {
		// For root, the renaming below could be that of /dev/null.
		return fmt.Errorf("tracker: state file: %s is not a file but a folder, a device or a pipe", path)
	}
	// Now, and not at the end, when all that it would keep is lost.
	temp, err := s.newStateFile()
	if err != nil {
		return fmt.Errorf("tracker: state file: %w; choose a folder that is there and can be written", err)
	}
	if err := errors.Join(temp.Close(), os.Remove(temp.Name())); err != nil {
		return fmt.Errorf("tracker: state file: %w", err)
	}
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tracker: state file: %w", err)
	}
	if err := s.restore(file); err != nil {
		aside := path + ".damaged"
		s.cfg().Logger.Warn("tracker begins without its state file", "file", path, "error", err, "moved to", aside)
		if err := os.Rename(path, aside); err != nil {
			return fmt.Errorf("tracker: state file: %w", err)
		}
	}
	return nil
}

// restore enters what a state file holds, nothing if it is damaged.
func (s *Server) restore(file []byte) error {
	const headLen = len(stateMagic) + 8
	if len(file) < headLen+sha256.Size || string(file[:len(stateMagic)]) != stateMagic {
		return errStateFile
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if sha256.Sum256(body) != [sha256.Size]byte(sum) {
		return errStateFile
	}
	saved := time.Unix(int64(binary.BigEndian.Uint64(body[len(stateMagic):])), 0)
	age := max(0, time.Since(saved)) // a clock may have been set back
	for body = body[headLen:]; len(body) > 0; {
		h, err := swarm.SnapshotInfoHash(body)
		if err != nil {
			return err
		}
		if body, err = s.store.restoreTorrent(h, s.now(), age, body); err != nil {
			return err
		}
	}
	return nil
}

// saveState writes the state file. The old one stays until the new one is on
// the disk: after a full disk or a power cut there is one of them.
func (s *Server) saveState() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("tracker: save the state file: %w", err)
		}
	}()
	temp, err := s.newStateFile()
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // in vain after the renaming
	err = s.writeState(temp)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), s.cfg().StateFile)
}

// newStateFile makes a temporary file beside the state file.
func (s *Server) newStateFile() (*os.File, error) {
	path := s.cfg().StateFile
	return os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
}

func (s *Server) writeState(w io.Writer) error {
	sum := sha256.New()
	buffered := bufio.NewWriter(w)
	out := summed{buffered, sum}
	out.write(binary.BigEndian.AppendUint64([]byte(stateMagic), uint64(time.Now().Unix())))
	var snapshot []byte
	for i := range s.store.shards {
		var at swarm.SnapshotCursor
		for more := true; more; {
			snapshot, more = s.store.shards[i].appendSnapshotPart(s.now(), &at, snapshot[:0])
			out.write(snapshot)
		}
	}
	buffered.Write(sum.Sum(nil))
	return buffered.Flush() // it has the first error of all writes
}

// summed writes to a file and to its checksum.
type summed struct {
	file *bufio.Writer
	sum  hash.Hash
}

func (w *summed) write(b []byte) {
	w.file.Write(b)
	w.sum.Write(b)
}

// snapshotPartLen is how many torrents and peers are copied while a shard's
// announces wait: a tenth of a millisecond. All of a shard with 250,000 peers
// took 15 ms.
const snapshotPartLen = 4096

func (sh *shard) appendSnapshotPart(now time.Duration, at *swarm.SnapshotCursor, b []byte) (_ []byte, more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.swarms.AppendSnapshotPart(now, at, snapshotPartLen, b)
}

func (st *store) restoreTorrent(h metainfo.InfoHash, now, age time.Duration, b []byte) ([]byte, error) {
	sh := st.of(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.swarms.RestoreTorrent(now, age, b)
}
