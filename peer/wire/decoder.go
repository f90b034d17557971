package wire

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// DefaultBufLen is the length in bytes of a Decoder's buffer if none is
// given: room for four blocks of 16 KiB and their headers. More would save
// system calls, but every connection has a buffer, the idle ones too.
const DefaultBufLen = 68 << 10

// minBufLen is the least length of a buffer: any message without a payload
// must fit.
const minBufLen = maxFixedLen

// maxEmptyReads is how often in a row a source may return neither bytes nor
// an error, as in package bufio.
const maxEmptyReads = 100

// VecReader is a source that can fill several buffers in one call, as readv
// does. ReadVec fills them in order and returns the number of bytes read in
// all; otherwise it behaves as Read of io.Reader. It must not keep bufs, but may
// change its elements.
type VecReader interface {
	ReadVec(bufs [][]byte) (n int, err error)
}

// errBlockLen is a mistake of the caller.
var errBlockLen = errors.New("wire: ReadBlock needs a destination as long as the block")

// Decoder reads messages from a stream. It is made for the data path: many
// messages come out of one read of the source, and the block of a piece
// message goes straight to where the caller wants it, in the same call that
// reads ahead to the messages after it. In the steady state nothing is
// allocated.
//
// A Decoder is for one goroutine. Its first error is its last: every method
// that can fail then returns it again.
type Decoder struct {
	src io.Reader
	vec VecReader // src, if it is one

	buf  []byte // buf[r:w] has arrived and is not consumed
	r, w int

	blockLeft int       // bytes of the current block that are not consumed
	large     []byte    // the payload of a message longer than buf
	iov       [2][]byte // the argument of ReadVec, kept here so that it is not allocated
	err       error
}

// NewDecoder returns a decoder of src, which should be a [VecReader] too if it
// can. bufLen is the length of the buffer in bytes; zero means DefaultBufLen.
func NewDecoder(src io.Reader, bufLen int) *Decoder {
	if bufLen == 0 {
		bufLen = DefaultBufLen
	}
	vec, _ := src.(VecReader)
	return &Decoder{src: src, vec: vec, buf: make([]byte, max(bufLen, minBufLen))}
}

// Next returns the next message, waiting for the source only if the buffer
// does not hold one. Of a Piece it returns the header: m.Length bytes of block
// are then read with ReadBlock or dropped with SkipBlock; Next drops what is
// left of them. Keep-alives that arrived together are returned as one, so that
// a storm of them costs the caller little.
//
// A payload is valid until the next call of Next, ReadBlock or SkipBlock. The
// error is io.EOF if the stream ended between two messages,
// io.ErrUnexpectedEOF if it ended inside one, a [ProtocolError] as of [Parse],
// or what the source returned.
func (d *Decoder) Next() (Message, error) {
	if err := d.SkipBlock(); err != nil {
		return Message{}, err
	}
	d.large = nil
	for {
		m, headerLen, payloadLen, err := parseHeader(d.buf[d.r:d.w])
		if err == nil {
			return d.take(m, headerLen, payloadLen)
		}
		if err != ErrShort {
			return Message{}, d.fail(err)
		}
		if err := d.fill(); err != nil {
			return Message{}, err
		}
	}
}

// take consumes the message of which the header is in the buffer.
func (d *Decoder) take(m Message, headerLen, payloadLen int) (Message, error) {
	switch {
	case m.Type == KeepAlive:
		d.r += headerLen
		d.dropKeepAlives()
	case m.Type == Piece:
		d.r += headerLen
		d.blockLeft = payloadLen
	case m.Type.hasPayload():
		var err error
		if m.Payload, err = d.payload(headerLen, payloadLen); err != nil {
			return Message{}, err
		}
	default:
		d.r += headerLen
	}
	return m, nil
}

// dropKeepAlives consumes the keep-alives at the beginning of the buffer.
func (d *Decoder) dropKeepAlives() {
	for d.w-d.r >= prefixLen && [prefixLen]byte(d.buf[d.r:]) == [prefixLen]byte{} {
		d.r += prefixLen
	}
}

// payload consumes a message and returns its payload: in place if the buffer
// can hold the message, else in memory of its own.
func (d *Decoder) payload(headerLen, payloadLen int) ([]byte, error) {
	if headerLen+payloadLen > len(d.buf) {
		d.r += headerLen
		return d.largePayload(payloadLen)
	}
	for d.w-d.r < headerLen+payloadLen {
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	begin, end := d.r+headerLen, d.r+headerLen+payloadLen
	d.r = end
	return d.buf[begin:end:end], nil
}

// largePayload reads a payload that does not fit into the buffer: a bitfield
// of very many pieces, or an extended message of unusual length. It grows with
// what has arrived: a peer that claims a mebibyte and sends ten bytes gets the
// memory of one more buffer.
func (d *Decoder) largePayload(payloadLen int) ([]byte, error) {
	d.large = make([]byte, 0, len(d.buf))
	for len(d.large) < payloadLen {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return nil, err
			}
		}
		n := min(d.w-d.r, payloadLen-len(d.large))
		d.large = append(d.large, d.buf[d.r:d.r+n]...)
		d.r += n
	}
	return slices.Clip(d.large), nil
}

// ReadBlock reads the block of the Piece that Next returned last into dst,
// which must be as long as the message's Length: first what the buffer holds,
// then from the source straight into dst. If the source is a [VecReader], the
// same call reads ahead into the buffer.
func (d *Decoder) ReadBlock(dst []byte) error {
	if d.err != nil {
		return d.err
	}
	if len(dst) != d.blockLeft {
		return fmt.Errorf("%w: %d bytes for a block of %d", errBlockLen, len(dst), d.blockLeft)
	}
	for {
		n := copy(dst, d.buf[d.r:d.w])
		d.r += n
		d.blockLeft -= n
		dst = dst[n:]
		if len(dst) == 0 {
			return nil
		}
		n, err := d.readInto(dst)
		d.blockLeft -= n
		dst = dst[n:]
		if err != nil {
			return err
		}
	}
}

// readInto reads from the source once, while the buffer is empty: into dst
// and, as far as it can, ahead into the buffer. It returns the number of bytes
// that are in dst, which may be none if there are some in the buffer.
func (d *Decoder) readInto(dst []byte) (int, error) {
	d.r, d.w = 0, 0
	switch {
	case d.vec != nil:
		n, err := d.read(dst, d.buf)
		d.w = max(0, n-len(dst))
		return min(n, len(dst)), err
	case len(dst) >= len(d.buf):
		return d.read(dst, nil)
	default:
		// Without a vectored read the copy through the buffer costs less
		// than a system call for each end of a block.
		return 0, d.fill()
	}
}

// SkipBlock drops what is left of the block of the Piece that Next returned
// last: one that nobody asked for, or whose slot another peer has filled.
func (d *Decoder) SkipBlock() error {
	for d.err == nil {
		n := min(d.blockLeft, d.w-d.r)
		d.r += n
		d.blockLeft -= n
		if d.blockLeft == 0 {
			return nil
		}
		d.fill() // the loop sees the error
	}
	return d.err
}

// Buffered reports whether Next would return without waiting for the source.
// It is false while a block is still to be read.
func (d *Decoder) Buffered() bool {
	if d.err != nil {
		return true
	}
	if d.blockLeft > 0 {
		return false
	}
	m, headerLen, payloadLen, err := parseHeader(d.buf[d.r:d.w])
	if err != nil {
		return err != ErrShort
	}
	return m.Type == Piece || headerLen+payloadLen <= d.w-d.r
}

// fill reads from the source into the free part of the buffer, at least one
// byte. The bytes that are not consumed move to the front first: they are the
// beginning of one message, and few unless that message is long.
func (d *Decoder) fill() error {
	if d.r > 0 {
		d.w = copy(d.buf, d.buf[d.r:d.w])
		d.r = 0
	}
	n, err := d.read(d.buf[d.w:], nil)
	d.w += n
	return err
}

// read reads at least one byte from the source into p and, if ahead is not
// nil, on into ahead by the same call. It returns an error only without bytes:
// one that comes with bytes comes again with the next read.
func (d *Decoder) read(p, ahead []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	for range maxEmptyReads {
		if ahead != nil {
			d.iov = [2][]byte{p, ahead}
			n, err = d.vec.ReadVec(d.iov[:])
			d.iov = [2][]byte{} // the caller's memory is not ours to keep
		} else {
			n, err = d.src.Read(p)
		}
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, d.fail(d.atEnd(err))
		}
	}
	return 0, d.fail(io.ErrNoProgress)
}

// atEnd turns io.EOF into io.ErrUnexpectedEOF if the stream ended inside a
// message.
func (d *Decoder) atEnd(err error) error {
	if err == io.EOF && (d.w > d.r || d.blockLeft > 0 || d.large != nil) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fail keeps the first error.
func (d *Decoder) fail(err error) error {
	if d.err == nil {
		d.err = err
	}
	return d.err
}
