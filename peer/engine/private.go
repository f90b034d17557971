package engine

// notOfTracker is why a private torrent refuses a peer.
const notOfTracker = "private torrent: not a peer of its tracker"

// vouched reports whether a source may name peers of a private torrent. BEP 27:
// a client "MUST ONLY initiate connections to peers returned from the private
// tracker". What the user names he answers for.
func (s Source) vouched() bool { return s == SourceTracker || s == SourceUser }

// admits reports whether a private torrent may have this connection. BEP 27
// says nothing of connections that others initiate, and they cannot be judged:
// who comes may have had our address from the tracker since we last asked it.
// Only a torrent that was in public before can tell that anybody may have found
// it there, and then wants to hear from the tracker first. The port of an
// incoming connection says nothing.
func (e *Engine) admits(c *Conn) bool {
	if c.incoming {
		return !e.wasPublic || e.book.knowsIP(c.addr.Addr())
	}
	return e.book.find(c.addr) != nil
}

// becomePrivate applies BEP 27 to a torrent of which only the metadata told
// that it is private: what did not come from the tracker goes.
func (e *Engine) becomePrivate() {
	if e.cfg.Private {
		return
	}
	e.cfg.Private, e.wasPublic = true, true
	for i := len(e.book.entries) - 1; i >= 0; i-- {
		if !e.book.entries[i].source.vouched() {
			e.book.remove(i)
		}
	}
	for _, c := range e.conns {
		if !e.admits(c) {
			e.close(c, notOfTracker)
		}
	}
}
