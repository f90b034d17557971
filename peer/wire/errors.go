package wire

import (
	"errors"
	"fmt"
)

// ErrShort says that the bytes so far are the beginning of something valid,
// and that more of them are needed.
var ErrShort = errors.New("wire: more bytes are needed")

// ProtocolError says what the remote peer did that the protocol forbids. The
// connection is of no further use: after a wrong length nobody knows where
// the next message begins.
type ProtocolError struct {
	// What is the fault in words, without any text of the remote.
	What string
}

// Error returns the fault, as in "protocol error: request of 12 bytes".
func (e ProtocolError) Error() string { return "protocol error: " + e.What }

// protocolErrorf returns a ProtocolError with formatted words.
func protocolErrorf(format string, args ...any) error {
	return ProtocolError{What: fmt.Sprintf(format, args...)}
}
