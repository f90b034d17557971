package dht

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// saveEvery is how often the state is saved besides at the end; arbitrary.
const saveEvery = 10 * time.Minute

// requestSave has the state saved soon.
func (s *Server) requestSave() {
	select {
	case s.save <- struct{}{}:
	default: // it will be
	}
}

// keepState saves the state now and then, until the Server closes.
func (s *Server) keepState() {
	if s.cfg.StateFile == "" || s.cfg.BorrowState {
		return
	}
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.save:
		case <-s.life.Done():
			return
		}
		current, err := inLoop(s, s.loop.state)
		if err != nil {
			return // closed: it is saved there
		}
		if err := s.saveState(current); err != nil {
			s.cfg.Logger.Warn("the DHT state was not saved", "error", err)
		}
	}
}

// state returns what is worth saving.
func (l *loop) state() state {
	return state{id: l.node.ID(), external: l.external, nodes: l.node.AppendNodes(nil)}
}

// saveState writes the state, unless it knows no nodes: then an older one is
// worth more.
func (s *Server) saveState(current state) error {
	if s.cfg.StateFile == "" || s.cfg.BorrowState || len(current.nodes) == 0 {
		return nil
	}
	if err := writeFile(s.cfg.StateFile, appendState(nil, current)); err != nil {
		return fmt.Errorf("save the DHT state: %w", err)
	}
	return nil
}

// restoreState reads the state of an earlier session. Whatever is wrong with
// it, the node can start without.
func (s *Server) restoreState() state {
	if s.cfg.StateFile == "" {
		return state{}
	}
	saved, err := readState(s.cfg.StateFile)
	switch {
	case err == nil && s.cfg.BorrowState:
		saved.id = krpc.ID{}
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case s.cfg.BorrowState:
		s.cfg.Logger.Warn("the DHT state cannot be read", "file", s.cfg.StateFile, "error", err)
	case errors.Is(err, errStateDamaged) || errors.Is(err, errStateVersion):
		aside := s.cfg.StateFile + ".bad"
		s.cfg.Logger.Warn("the DHT state was set aside", "as", aside, "error", err)
		if err := os.Rename(s.cfg.StateFile, aside); err != nil {
			s.cfg.Logger.Warn("the DHT state cannot be renamed", "error", err)
		}
	default:
		s.cfg.Logger.Warn("the DHT state cannot be read", "error", err)
	}
	return saved
}

// mustBeFile fails if there is something at path that is no file: a pipe would
// be read for ever, and /dev/null, of all things, renamed or replaced if the user
// may do so.
func mustBeFile(path string) error {
	if stat, err := os.Stat(path); err == nil && !stat.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file but a folder, a device or a pipe", path)
	}
	return nil
}

func readState(path string) (state, error) {
	if err := mustBeFile(path); err != nil {
		return state{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return state{}, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(maxStateLen)+1))
	if err != nil {
		return state{}, err
	}
	return parseState(b)
}

// writeFile replaces a file in one step: whoever reads it, and whatever
// happens meanwhile, finds the old or the new one. Two processes that do so at
// the same time do not mix their bytes; the last one stays. It is readable by
// its owner alone, because it tells who this node talked to.
func writeFile(path string, content []byte) (err error) {
	if err := mustBeFile(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename outlive a crash. Not every system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync()
	return d.Close()
}
