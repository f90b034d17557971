package piecestore

// NumOpen is the number of open files.
func (hs *Handles) NumOpen() int {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return len(hs.open)
}
