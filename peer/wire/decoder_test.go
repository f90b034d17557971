package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// chunks is a source that returns at most the next of its sizes at a time,
// and starts over with them when they end.
type chunks struct {
	data  []byte
	sizes []int
	calls int
}

func (c *chunks) Read(p []byte) (int, error) { return c.ReadVec([][]byte{p}) }

func (c *chunks) ReadVec(bufs [][]byte) (n int, err error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	left := c.sizes[c.calls%len(c.sizes)]
	c.calls++
	for _, p := range bufs {
		k := copy(p[:min(len(p), left)], c.data)
		c.data = c.data[k:]
		left -= k
		n += k
	}
	return n, nil
}

// readerOnly hides ReadVec.
type readerOnly struct{ r io.Reader }

func (r readerOnly) Read(p []byte) (int, error) { return r.r.Read(p) }

// allMessages is a stream of every kind of message, with blocks longer and
// shorter than a small buffer.
func allMessages(t testing.TB) []byte {
	var b []byte
	for _, tt := range messageTests {
		b = append(b, unhex(t, tt.hex)...)
	}
	b = Append(b, Message{Type: Piece, Index: 1, Payload: bytes.Repeat([]byte("block"), 300)})
	b = Append(b, Message{Type: Have, Index: 3})
	b = Append(b, Message{Type: Extended, ExtID: 1, Payload: bytes.Repeat([]byte("metadata"), 300)})
	return Append(b, Message{Type: Interested})
}

// transcript reads the stream to its end and returns its messages, one a
// line, with blocks and payloads. Keep-alives that follow each other count as
// one, because it depends on the chunks which of them a Decoder joins. Every
// skip-th block is skipped, unless skip is zero.
func transcript(d *Decoder, skip int) (string, error) {
	var lines []string
	for {
		m, err := d.Next()
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		if m.Type == Piece {
			block := make([]byte, m.Length)
			if skip > 0 && m.Index%uint32(skip) == 0 {
				err = d.SkipBlock()
			} else {
				err = d.ReadBlock(block)
			}
			if err != nil {
				return strings.Join(lines, "\n"), err
			}
			m.Payload = block
		}
		line := fmt.Sprintf("%v %x", m, m.Payload)
		if m.Type != KeepAlive || len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
}

// parsed is what transcript returns for b, if Parse has its word.
func parsed(b []byte) (string, error) {
	var lines []string
	for len(b) > 0 {
		m, rest, err := Parse(b)
		if err == ErrShort {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		b = rest
		line := fmt.Sprintf("%v %x", m, m.Payload)
		if m.Type != KeepAlive || len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n"), io.EOF
}

func TestDecoderReturnsTheSameWhateverTheChunks(t *testing.T) {
	stream := allMessages(t)
	want, wantErr := parsed(stream)
	for _, bufLen := range []int{1, 64, 1000, 0} {
		for _, sizes := range [][]int{{1}, {2, 3, 1}, {17}, {1000, 1}, {len(stream)}} {
			for _, vectored := range []bool{true, false} {
				var src io.Reader = &chunks{data: stream, sizes: sizes}
				if !vectored {
					src = readerOnly{src}
				}
				got, err := transcript(NewDecoder(src, bufLen), 0)
				if got != want || err != wantErr {
					t.Errorf("buffer %d, chunks %d, vectored %t: %v\n%s\nwant %v\n%s", bufLen, sizes, vectored, err, got, wantErr, want)
				}
			}
		}
	}
}

// BEP 3's messages have no end mark: what a reader does after an unread block
// must not depend on whether the caller cared for it.
func TestNextDropsABlockThatWasNotRead(t *testing.T) {
	stream := Append(nil, Message{Type: Piece, Payload: make([]byte, 5000)})
	stream = Append(stream, Message{Type: Have, Index: 9})
	d := NewDecoder(&chunks{data: stream, sizes: []int{100}}, 64)
	d.Next()
	if m, err := d.Next(); err != nil || m.String() != "have 9" {
		t.Errorf("after an unread block: %v, %v", m, err)
	}
}

func TestReadBlockRefusesAnotherLength(t *testing.T) {
	stream := Append(nil, Message{Type: Piece, Payload: []byte("abc")})
	d := NewDecoder(bytes.NewReader(stream), 0)
	d.Next()
	if err := d.ReadBlock(make([]byte, 4)); !errors.Is(err, errBlockLen) {
		t.Errorf("4 bytes for a block of 3: %v", err)
	}
	dst := make([]byte, 3)
	if err := d.ReadBlock(dst); err != nil || string(dst) != "abc" {
		t.Errorf("then %q, %v", dst, err)
	}
}

// readsFor returns how many reads of the source a stream of blocks costs.
func readsFor(t *testing.T, numBlocks int, vectored bool) int {
	block := make([]byte, 16<<10)
	var stream []byte
	for i := range numBlocks {
		stream = Append(stream, Message{Type: Piece, Index: uint32(i), Payload: block})
	}
	c := &chunks{data: stream, sizes: []int{1 << 20}}
	var src io.Reader = c
	if !vectored {
		src = readerOnly{c}
	}
	d := NewDecoder(src, 60<<10)
	for range numBlocks {
		decodeOne(t, d, block)
	}
	return c.calls
}

// A plain read brings as much as the buffer holds. A vectored one brings what
// the block lacks too, so there are fewer of them, if not by much: a source
// that always has more fills the buffer each time.
func TestReadBlockReadsAhead(t *testing.T) {
	const numBlocks = 200
	plain, vectored := readsFor(t, numBlocks, false), readsFor(t, numBlocks, true)
	if most := numBlocks*(16<<10+PieceHeaderLen)/(60<<10) + 1; plain > most {
		t.Errorf("%d plain reads for %d blocks, want at most %d", plain, numBlocks, most)
	}
	if vectored >= plain {
		t.Errorf("%d vectored reads for %d blocks, and %d plain ones", vectored, numBlocks, plain)
	}
}

func TestBuffered(t *testing.T) {
	have := Append(nil, Message{Type: Have, Index: 1})
	bits := Append(nil, Message{Type: Bitfield, Payload: make([]byte, 20)})
	piece := Append(nil, Message{Type: Piece, Payload: make([]byte, 20)})
	tests := []struct {
		name   string
		second []byte // what arrives together with a first have
		want   bool
	}{
		{"nothing", nil, false},
		{"part of a prefix", have[:3], false},
		{"part of a have", have[:8], false},
		{"a have", have, true},
		{"part of a bitfield", bits[:10], false},
		{"a bitfield", bits, true},
		{"part of a piece header", piece[:12], false},
		{"a piece header", piece[:13], true},
		{"a fault", []byte{0xff, 0xff, 0xff, 0xff}, true},
	}
	for _, tt := range tests {
		d := NewDecoder(bytes.NewReader(slices.Concat(have, tt.second)), 0)
		if d.Buffered() {
			t.Errorf("%s: true before anything was read", tt.name)
		}
		d.Next()
		if got := d.Buffered(); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestBufferedIsFalseWhileABlockIsUnread(t *testing.T) {
	stream := Append(nil, Message{Type: Piece, Payload: make([]byte, 20)})
	d := NewDecoder(bytes.NewReader(Append(stream, Message{Type: Choke})), 0)
	d.Next()
	if d.Buffered() {
		t.Error("true before the block")
	}
	d.SkipBlock()
	if !d.Buffered() {
		t.Error("false after the block, with a choke behind it")
	}
}

func TestDecoderErrors(t *testing.T) {
	piece := Append(nil, Message{Type: Piece, Payload: make([]byte, 200)})
	long := Append(nil, Message{Type: Extended, Payload: make([]byte, 200)})
	tests := []struct {
		name   string
		stream []byte
		want   error
	}{
		{"nothing", nil, io.EOF},
		{"between messages", []byte{0, 0, 0, 1, 0}, io.EOF},
		{"in a prefix", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"in a message", []byte{0, 0, 0, 5, 4, 0}, io.ErrUnexpectedEOF},
		{"before a block", piece[:PieceHeaderLen], io.ErrUnexpectedEOF},
		{"in a block", piece[:100], io.ErrUnexpectedEOF},
		{"before a long payload", long[:extHeaderLen], io.ErrUnexpectedEOF},
		{"in a long payload", long[:100], io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		for _, skip := range []int{0, 1} {
			d := NewDecoder(iotest.OneByteReader(bytes.NewReader(tt.stream)), 64)
			if _, err := transcript(d, skip); err != tt.want {
				t.Errorf("end %s: %v, want %v", tt.name, err, tt.want)
			}
			if _, err := d.Next(); err != tt.want {
				t.Errorf("end %s: %v the second time, want %v", tt.name, err, tt.want)
			}
		}
	}
}

func TestDecoderPassesOnTheErrorOfItsSource(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(bytes.NewReader([]byte{0, 0, 0, 1, 1}), iotest.ErrReader(broken))
	got, err := transcript(NewDecoder(src, 0), 0)
	if got != "unchoke " || err != broken {
		t.Errorf("%q, %v; want the unchoke and then the error", got, err)
	}
}

// stuck never returns anything.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestDecoderGivesUpOnASourceWithoutProgress(t *testing.T) {
	if _, err := NewDecoder(stuck{}, 0).Next(); err != io.ErrNoProgress {
		t.Errorf("%v, want io.ErrNoProgress", err)
	}
}

// A peer that claims a length must not make us allocate it.
func TestMemoryFollowsWhatArrived(t *testing.T) {
	const claimed = MaxExtendedLen
	stream := binary.BigEndian.AppendUint32(nil, 2+claimed)
	stream = append(stream, byte(Extended), 1)
	stream = append(stream, make([]byte, 1000)...)
	d := NewDecoder(bytes.NewReader(stream), 256)
	if _, err := d.Next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if got := cap(d.large) + cap(d.buf); got > 4000 {
		t.Errorf("%d bytes of memory for 1000 that arrived", got)
	}
}

// 64 KiB of zeros are 16,384 keep-alives, but one event for the engine.
func TestKeepAliveStormIsOneMessage(t *testing.T) {
	stream := Append(make([]byte, 64<<10), Message{Type: Choke})
	d := NewDecoder(bytes.NewReader(stream), 0)
	first, _ := d.Next()
	second, err := d.Next()
	if err != nil || first.Type != KeepAlive || second.Type != Choke {
		t.Errorf("%v, %v, %v; want one keep-alive and the choke", first, second, err)
	}
}

// endless repeats a stream for ever, in vectored reads of any size.
type endless struct {
	stream []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.stream[e.at:])
		e.at = (e.at + k) % len(e.stream)
		n += k
	}
	return n, nil
}

func (e *endless) ReadVec(bufs [][]byte) (n int, err error) {
	for _, p := range bufs {
		k, _ := e.Read(p)
		n += k
	}
	return n, nil
}

// blockStream is what a leecher gets: blocks, and a have now and then.
func blockStream() []byte {
	var stream []byte
	for i := range uint32(16) {
		stream = Append(stream, Message{Type: Piece, Index: i, Payload: make([]byte, 16<<10)})
		if i%4 == 0 {
			stream = Append(stream, Message{Type: Have, Index: i})
		}
	}
	return stream
}

// decodeOne reads one message and, if it is a piece, its block.
func decodeOne(t testing.TB, d *Decoder, block []byte) {
	m, err := d.Next()
	if err == nil && m.Type == Piece {
		err = d.ReadBlock(block[:m.Length])
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	block := make([]byte, 16<<10)
	for name, src := range map[string]io.Reader{
		"vectored": &endless{stream: blockStream()},
		"plain":    readerOnly{&endless{stream: blockStream()}},
		"control":  &endless{stream: Append(Append(nil, Message{Type: Have}), Message{Type: Bitfield, Payload: make([]byte, 50)})},
	} {
		d := NewDecoder(src, 0)
		if n := testing.AllocsPerRun(1000, func() { decodeOne(t, d, block) }); n != 0 {
			t.Errorf("%s: %v allocations for each message", name, n)
		}
	}
}

func BenchmarkDecodeBlocks(b *testing.B) {
	for _, bufLen := range []int{32 << 10, DefaultBufLen, 256 << 10} {
		b.Run(fmt.Sprintf("buffer=%dKiB", bufLen>>10), func(b *testing.B) {
			d := NewDecoder(&endless{stream: blockStream()}, bufLen)
			block := make([]byte, 16<<10)
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				decodeOne(b, d, block)
			}
		})
	}
}

func BenchmarkDecodeHave(b *testing.B) {
	d := NewDecoder(&endless{stream: Append(nil, Message{Type: Have, Index: 7})}, 0)
	b.ReportAllocs()
	for b.Loop() {
		decodeOne(b, d, nil)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], Message{Type: Request, Index: 7, Begin: 16 << 10, Length: 16 << 10})
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(allMessages(f), []byte{1}, uint8(1), true)
	f.Add(allMessages(f), []byte{200, 3}, uint8(200), false)
	f.Add(make([]byte, 40), []byte{7}, uint8(0), true)
	f.Add([]byte{0, 0, 0, 9, 7, 0, 0, 0, 0}, []byte{2}, uint8(0), true)
	f.Fuzz(func(t *testing.T, stream, sizes []byte, bufLen uint8, vectored bool) {
		c := &chunks{data: stream, sizes: []int{1}}
		for _, s := range sizes {
			c.sizes = append(c.sizes, int(s)+1)
		}
		var src io.Reader = c
		if !vectored {
			src = readerOnly{src}
		}
		want, wantErr := parsed(stream)
		got, err := transcript(NewDecoder(src, int(bufLen)), 0)
		if got != want || err.Error() != wantErr.Error() {
			t.Fatalf("got %v\n%s\nwant %v\n%s", err, got, wantErr, want)
		}
	})
}
