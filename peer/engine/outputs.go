package engine

// Outputs is where the outputs of an engine wait for Next. Engines that one
// goroutine drives can share one, each of them until Next has nothing more to
// return: a simulator with thousands of engines need not have memory for the outputs of
// each, and what they share is in the processor's cache.
type Outputs struct {
	queue []Output
	head  int
	of    *Engine // that they are of, if there are any
}

// keptOutputs is how many outputs an engine of its own has room for while there are none.
// What one input leads to is mostly fewer; a burst, as at the end of a download,
// must not cost memory for ever.
const keptOutputs = 16

// begin is called before an engine may push. Outputs of another would be done in its name.
func (o *Outputs) begin(e *Engine) {
	if len(o.queue) > 0 && o.of != e {
		panic("engine: outputs of another engine still wait in Config.Outputs")
	}
	o.of = e
}

func (o *Outputs) push(out Output) { o.queue = append(o.queue, out) }

// next returns the next output of e.
func (o *Outputs) next(e *Engine) (*Output, bool) {
	if o.of != e {
		return nil, false
	}
	if o.head == len(o.queue) {
		clear(o.queue) // no payload must be kept alive
		o.queue, o.head = o.queue[:0], 0
		if cap(o.queue) > keptOutputs && e.cfg.Outputs == nil {
			o.queue = nil
		}
		return nil, false
	}
	o.head++
	return &o.queue[o.head-1], true
}
