package engine

// A simulator with thousands of engines, whose state is not in the processor's
// caches, calls Touch for several inputs before it hands them over: then the
// waits for memory run at the same time. Touch reads a little of what an input
// will need and changes nothing. What it returns says nothing; it is there so
// that the reads are not left out by the compiler.
//
// What is read at a depth is pointed to by what was read at the one before. So
// call it for all inputs with depth 0, then for all with depth 1, and then with 2.

// Touch touches what a have from c needs, or if c is nil, any input.
func (e *Engine) Touch(c *Conn, depth int) (nothing uint64) {
	switch depth {
	case 0:
		nothing = uint64(e.tickAt) + uint64(e.fetch.at)
		if c != nil {
			nothing += uint64(c.reqQ) + uint64(c.hasMemory[0]) + uint64(c.hasMemory[len(c.hasMemory)-1])
		}
	case 1:
		if b := e.missing.Bytes(); len(b) > 0 {
			nothing = uint64(b[0]) + uint64(len(e.picker.late))
		}
	case 2:
		if p := e.picker; p != nil && len(p.late) > 0 {
			nothing = uint64(p.late[len(p.late)-1])
		}
	}
	return nothing
}

// TouchBlocks touches, beside that, what a request or a block of c needs, one
// that arrives or one that was sent.
func (e *Engine) TouchBlocks(c *Conn, depth int) (nothing uint64) {
	switch depth {
	case 0:
		nothing = uint64(c.window.size) + uint64(len(c.pending)) + uint64(c.downloaded) + uint64(c.uploaded) +
			uint64(e.left) + uint64(e.buffered) + uint64(e.uploaded) + uint64(e.choker.sent)
	case 1:
		if len(c.pending) > 0 {
			nothing = uint64(c.pending[0].block)
		}
		if c.queue.len() > 0 {
			nothing += uint64(c.queue.front().piece)
		}
		if e.have != nil {
			nothing += uint64(e.have.Count())
		}
	case 2:
		if len(c.pending) > 0 {
			nothing = uint64(c.pending[0].p.arrived)
		}
	}
	return nothing
}
