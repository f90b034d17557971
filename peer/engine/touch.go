package engine

// Touch reads a little of what the next input will need, an input from c if c
// is not nil, and changes nothing. A simulator with thousands of engines, whose
// state is not in the processor's caches, calls it for several of them before
// it hands them their inputs: then the waits for memory run at the same time.
// What it returns says nothing; it is there so that the reads are not left out
// by the compiler.
func (e *Engine) Touch(c *Conn) (nothing uint64) {
	nothing = uint64(len(e.out.queue)) + uint64(e.tickAt) + uint64(e.left)
	if e.missing.Len() > 0 && e.missing.Has(0) {
		nothing++
	}
	if p := e.picker; p != nil && len(p.late) > 0 {
		nothing += uint64(p.late[len(p.late)-1])
	}
	if c != nil {
		nothing += uint64(c.wanted) + uint64(c.hasMemory[len(c.hasMemory)-1]) + c.touch()
	}
	return nothing
}

// touch looks at the beginning of c, which may be in another cache line than what
// a have needs, and at what the next block needs, one that arrives or one that is sent.
func (c *Conn) touch() (nothing uint64) {
	if c.counts() {
		nothing++
	}
	if len(c.pending) > 0 {
		nothing += uint64(c.pending[0].p.arrived)
	}
	if c.queue.len() > 0 {
		nothing += uint64(c.queue.front().piece)
	}
	return nothing
}
