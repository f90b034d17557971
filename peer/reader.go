package peer

import (
	"bytes"
	"errors"
	"os"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// reader reads the messages of one connection. The bytes of blocks go straight
// into the assembly; everything else is collected, and handed to the loop when
// the next message has not arrived yet.
type reader struct {
	c     *conn
	dec   *wire.Decoder
	batch []event

	claimed   bool // a block is being read into its slot
	numBlocks int  // that were claimed
	limited   int  // the number of the block that the deadline is for, 0: there is none
}

// read reads until the connection ends and returns why.
func (c *conn) read() error {
	r := &reader{c: c, batch: make([]event, 0, readerBatch)}
	r.dec = wire.NewDecoder(r, 0)
	for {
		m, err := r.dec.Next()
		if err != nil {
			return err
		}
		in := engine.Input{Kind: engine.InMessage, Conn: &c.state, Message: m}
		if m.Type == wire.Piece {
			in, err = r.block(m)
		} else {
			in.Message.Payload = bytes.Clone(m.Payload) // rare, and the decoder's own
		}
		if err != nil {
			return err
		}
		r.batch = append(r.batch, event{in: in})
		if len(r.batch) == cap(r.batch) && !r.flush() {
			return errStopped
		}
	}
}

// block reads the block of a piece message into its slot. Without a slot, the
// bytes are dropped and the engine hears that they are. Of a magnet link whose
// metadata is not there yet, no honest peer sends a block.
func (r *reader) block(m wire.Message) (engine.Input, error) {
	in := engine.Input{
		Kind:   engine.InBlock,
		Conn:   &r.c.state,
		Piece:  int(m.Index),
		Begin:  int(m.Begin),
		Length: int(m.Length),
	}
	content := r.c.t.content()
	if content == nil {
		return in, errEarly
	}
	slot, claimed := content.assembly.Claim(in.Piece, in.Begin, in.Length)
	if !claimed {
		return in, r.dec.SkipBlock()
	}
	r.claimed = true
	r.numBlocks++
	err := r.dec.ReadBlock(slot.Bytes())
	r.claimed = false
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowBlock
	}
	if err != nil {
		slot.Release()
		return in, err
	}
	in.Claimed = slot.Fill()
	return in, nil
}

// Read implements io.Reader for the decoder.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.beforeWait(); err != nil {
		return 0, err
	}
	return r.c.tr.Read(p)
}

// ReadVec implements wire.VecReader for the decoder.
func (r *reader) ReadVec(bufs [][]byte) (int, error) {
	if err := r.beforeWait(); err != nil {
		return 0, err
	}
	return r.c.tr.ReadVec(bufs)
}

// beforeWait is called whenever the decoder needs more than has arrived: the
// time to hand over what was parsed.
func (r *reader) beforeWait() error {
	if !r.flush() {
		return errStopped
	}
	var deadline time.Time // none between blocks: the engine closes who is silent
	limited := 0
	if r.claimed {
		limited = r.numBlocks
	}
	if limited == r.limited {
		return nil
	}
	r.limited = limited
	if r.claimed {
		deadline = time.Now().Add(blockTimeout)
	}
	return r.c.tr.SetReadDeadline(deadline)
}

// flush hands the collected messages to the loop. It is false if the loop has
// ended.
func (r *reader) flush() bool {
	if len(r.batch) == 0 {
		return true
	}
	ok := r.c.t.inbox.putWhenRoom(r.batch)
	clear(r.batch)
	r.batch = r.batch[:0]
	return ok
}
