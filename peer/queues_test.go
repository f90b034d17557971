package peer

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// TestInboxIsBounded holds that readers wait when the loop does not keep up,
// that others do not, and that all end with the loop.
func TestInboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox()
		full := make([]event, maxInbox)
		if !b.putWhenRoom(full) {
			t.Fatal("closed")
		}
		var second, third bool
		go func() { second = b.putWhenRoom(full[:1]) }()
		synctest.Wait()
		if !b.put(event{}) {
			t.Error("put must not wait")
		}
		if got := len(b.take(nil)); got != maxInbox+1 {
			t.Errorf("%d events", got)
		}
		synctest.Wait()
		if !second || len(b.take(nil)) != 1 {
			t.Error("the reader did not go on")
		}
		b.put(full...)
		go func() { third = b.putWhenRoom(full[:1]) }()
		synctest.Wait()
		b.close()
		synctest.Wait()
		if third || b.put(event{}) {
			t.Error("something was put after the end")
		}
	})
}

// TestInboxKeepsNothing holds that what the loop is done with can be collected.
func TestInboxKeepsNothing(t *testing.T) {
	b := newInbox()
	b.put(event{in: engine.Input{Message: wire.Message{Payload: make([]byte, 9)}}})
	done := b.take(nil)
	b.take(done)
	if done[0].in.Message.Payload != nil {
		t.Error("the payload is still there")
	}
}

// TestOutQueueOrder interleaves messages and blocks over several turns of the
// loop: they must leave in that order.
func TestOutQueueOrder(t *testing.T) {
	q := newOutQueue()
	var want []byte
	for turn := range 3 {
		var staged sendBatch
		for i := range 2 {
			staged.control = append(staged.control, byte('a'+turn), byte('0'+i))
			staged.blocks = append(staged.blocks, blockRef{after: len(staged.control), pieceIndex: 10*turn + i})
			want = append(want, byte('a'+turn), byte('0'+i), byte(10*turn+i))
		}
		if !q.put(&staged) || len(staged.control) > 0 {
			t.Fatal("the batch was not taken")
		}
	}
	var batch sendBatch
	q.take(&batch)
	var got []byte
	sent := 0
	for _, ref := range batch.blocks {
		got = append(append(got, batch.control[sent:ref.after]...), byte(ref.pieceIndex))
		sent = ref.after
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOutQueueIsBounded(t *testing.T) {
	q := newOutQueue()
	fits := &sendBatch{control: make([]byte, maxQueuedControl)}
	if !q.put(fits) {
		t.Error("what is allowed was refused")
	}
	if q.put(&sendBatch{control: []byte{0}}) {
		t.Error("one byte more was taken")
	}
}

func TestSendWindow(t *testing.T) {
	for name, test := range map[string]struct {
		perDrain time.Duration // how long 16 KiB take
		want     int
	}{
		"fast":   {100 * time.Microsecond, maxSendWindow},
		"medium": {20 * time.Millisecond, firstSendWindow},
		"slow":   {2 * time.Second, minSendWindow},
	} {
		w := newSendWindow()
		now := time.Unix(0, 0)
		inFlight := firstSendWindow
		for range 1000 {
			inFlight += w.drained(16<<10, now) - 16<<10
			now = now.Add(test.perDrain)
			if inFlight < 0 {
				t.Fatalf("%s: more was drained than given", name)
			}
		}
		if w.size != test.want || inFlight != w.size {
			t.Errorf("%s: size %d, in flight %d, expected %d", name, w.size, inFlight, test.want)
		}
	}
}
