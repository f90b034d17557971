package server

import "time"

// maxSimpleLen bounds a simple request, in bytes. An announce has 400, and what
// proxies add seldom fills the rest. It is what a client that waits costs.
const maxSimpleLen = 2048

// deadlineSlack is how much shorter than idleTimeout a client may be waited
// for, so that not every request sets a timer.
const deadlineSlack = time.Second

// visit is the memory of a connection while it is served here.
type visit struct {
	buf      [maxSimpleLen]byte
	len      int // bytes in buf
	request  simpleRequest
	deadline time.Time // what the connection's was set to
}

// serve answers the simple requests of a connection.
func (f *front) serve(c *connection) {
	defer f.serving.Done()
	if len(c.unsent) > 0 {
		f.finish(c)
		return
	}
	v := f.visits.Get().(*visit)
	defer f.visits.Put(v)
	v.len, v.deadline = 0, time.Time{}
	if f.converse(c, v) {
		f.handOver(c, v.buf[:v.len])
	} else {
		c.Close()
	}
}

// finish ends a connection whose client takes its answer slowly.
func (f *front) finish(c *connection) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(requestTimeout)); !f.stopping.Load() {
		c.Write(c.unsent)
	}
}

// converse reads and answers until the connection is to be closed, or until a
// request is odd. Then v.buf has what there is of it.
func (f *front) converse(c *connection, v *visit) (odd bool) {
	timeout := headerTimeout
	for {
		if v.setDeadline(c, timeout); f.stopping.Load() {
			return false
		}
		n, err := c.Read(v.buf[:])
		if err != nil || n == 0 {
			return false
		}
		v.len = n
		for v.len > 0 {
			done, err := f.answerOne(c, v)
			if err != nil {
				return false
			}
			if !done {
				return true
			}
			if v.request.close {
				return false
			}
		}
		timeout = idleTimeout
	}
}

// setDeadline gives a client the time to ask, and to take the answer.
func (v *visit) setDeadline(c *connection, timeout time.Duration) {
	deadline := time.Now().Add(timeout)
	if deadline.Sub(v.deadline) > deadlineSlack {
		v.deadline = deadline
		c.SetDeadline(deadline)
	}
}

// answerOne answers the request at the front of v.buf and removes it; done is
// false if it is odd. After an error the connection is closed.
func (f *front) answerOne(c *connection, v *visit) (done bool, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			f.server.note(fault)
			err = errFault
		}
	}()
	requestLen := v.request.parse(asString(v.buf[:v.len]))
	if requestLen == 0 {
		return false, nil
	}
	sc := f.server.scratch.Get().(*scratch)
	defer f.server.scratch.Put(sc)
	f.server.respondSimple(sc, &v.request, c.from)
	v.len = copy(v.buf[:], v.buf[requestLen:v.len])
	_, err = c.Write(sc.response)
	return true, err
}
