package piecestore

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// memoryChunkLen is the unit in bytes in which Memory takes its memory.
const memoryChunkLen = 256 << 10

// Memory is a Storage in RAM, for tests and demonstrations. It takes memory
// for the parts that are written, at most the length of the torrent.
type Memory struct {
	totalLen int64

	mu     sync.RWMutex
	closed bool
	chunks map[int64][]byte // by offset / memoryChunkLen
}

// NewMemory returns an empty store for a torrent of totalLen bytes.
func NewMemory(totalLen int64) *Memory {
	return &Memory{totalLen: totalLen, chunks: make(map[int64][]byte)}
}

// ReadAt implements Storage.
func (m *Memory) ReadAt(p []byte, off int64) (n int, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, errMemoryClosed
	}
	if err := checkRange(off, 0, m.totalLen); err != nil {
		return 0, err
	}
	for want := int(min(int64(len(p)), m.totalLen-off)); n < want; {
		chunk := m.chunks[(off+int64(n))/memoryChunkLen]
		if chunk == nil {
			return n, ErrMissing
		}
		n += copy(p[n:want], chunk[(off+int64(n))%memoryChunkLen:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements Storage.
func (m *Memory) WriteAt(bufs [][]byte, off int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errMemoryClosed
	}
	if err := checkRange(off, lenOf(bufs), m.totalLen); err != nil {
		return err
	}
	for _, buf := range bufs {
		for len(buf) > 0 {
			n := copy(m.chunkAt(off)[off%memoryChunkLen:], buf)
			buf, off = buf[n:], off+int64(n)
		}
	}
	return nil
}

// chunkAt returns the chunk that holds off, and makes it if need be.
func (m *Memory) chunkAt(off int64) []byte {
	i := off / memoryChunkLen
	if m.chunks[i] == nil {
		m.chunks[i] = make([]byte, min(memoryChunkLen, m.totalLen-i*memoryChunkLen))
	}
	return m.chunks[i]
}

// NextData implements Storage.
func (m *Memory) NextData(off int64) int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return off
	}
	for off = max(off, 0); off < m.totalLen; off = (off/memoryChunkLen + 1) * memoryChunkLen {
		if m.chunks[off/memoryChunkLen] != nil {
			return off
		}
	}
	return m.totalLen
}

// Sync implements Storage. There is nothing that could survive.
func (m *Memory) Sync() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errMemoryClosed
	}
	return nil
}

// Close implements Storage and gives the memory up.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errMemoryClosed
	}
	m.closed, m.chunks = true, nil
	return nil
}

var errMemoryClosed = fmt.Errorf("store: %w", os.ErrClosed)
