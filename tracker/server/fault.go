package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A fault is a panic in the work for one request, which is a bug of ours. It
// costs that request, and not the tracker: whoever finds a request that makes
// one could otherwise stop the tracker with one packet.

// errFault is the answer to a request that made one.
var errFault = errors.New("the tracker has a fault; its log says which")

// complainEvery is the least time between two lines about faults.
const complainEvery = time.Minute

// Bounds on what is logged of a fault, in bytes: the functions it came through
// are at the top of the stack.
const (
	maxFaultLen = 200
	maxStackLen = 4096
)

// faults counts faults, and remembers when one was logged.
type faults struct {
	num    atomic.Uint64
	mu     sync.Mutex
	toldAt time.Duration
	told   bool
}

// note counts a fault, the value of a panic, and logs it unless one was logged
// just now. A stack has the names of functions, and no text of a request.
func (s *Server) note(fault any) {
	num := s.faults.num.Add(1)
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	now := s.now()
	if s.faults.told && now-s.faults.toldAt < complainEvery {
		return
	}
	s.faults.told, s.faults.toldAt = true, now
	s.cfg().Logger.Error("tracker: a request made it fail; it goes on; please report this", "fault", faultText(fault), "so far", num,
		"stack", string(cut(debug.Stack(), maxStackLen)))
}

// faultText is what is logged of the value: of the runtime's own faults all, of
// others the type alone, for their text may quote the request and its key.
func faultText(fault any) string {
	if err, ok := fault.(interface{ RuntimeError() }); ok {
		return string(cut([]byte(fmt.Sprint(err)), maxFaultLen))
	}
	return fmt.Sprintf("%T", fault)
}

func cut(b []byte, most int) []byte { return b[:min(len(b), most)] }
