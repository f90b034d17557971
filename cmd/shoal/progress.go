package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cheggaaa/pb/v3"
	"github.com/cheggaaa/pb/v3/termutil"
)

// progress is one bar, or one plain line: how far something has come.
type progress struct {
	name        string // printable
	done, total int64  // bytes
	detail      string // printable: pieces, rates, peers, time left
	unknown     bool   // nobody knows how much there is to do
}

// display shows the progress of several things at once. Its owner calls show
// as often as it likes and close at the end.
type display interface {
	show(now time.Time, all []progress)
	note(format string, args ...any) // a line that stays
	close()
}

// newDisplay returns bars where stderr is a terminal, and plain lines
// elsewhere.
func (e *env) newDisplay(quiet bool) display {
	switch {
	case quiet:
		return quietDisplay{e}
	case e.stderrIsTerminal:
		if d, err := newBars(e.stderr); err == nil {
			return d
		}
	}
	return &lines{w: e.stderr}
}

// quietDisplay shows notes only: they are about what goes wrong.
type quietDisplay struct{ e *env }

func (quietDisplay) show(time.Time, []progress)        {}
func (d quietDisplay) note(format string, args ...any) { d.e.logf(format, args...) }
func (quietDisplay) close()                            {}

// noteBox holds lines that other goroutines have for the display's owner.
type noteBox struct {
	mu    sync.Mutex
	lines []string
}

// add keeps a line. More than maxNotes at a time are left out: a remote may be
// the cause of them.
func (n *noteBox) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lines) < maxNotes {
		n.lines = append(n.lines, fmt.Sprintf(format, args...))
	}
}

// maxNotes is arbitrary: a screen full.
const maxNotes = 50

func (n *noteBox) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := n.lines
	n.lines = nil
	return lines
}

// lineInterval is the time between plain lines of progress: often enough to
// see that it goes on, and a log of an hour stays readable.
const lineInterval = 5 * time.Second

// lines writes a plain line now and then, and one more at the end. A torrent
// whose line would be the same again is left out: a seed that nobody asks
// fills no log.
type lines struct {
	w       io.Writer
	next    time.Time
	latest  []progress
	written []string // by the index of progress
}

func (l *lines) show(now time.Time, all []progress) {
	l.latest = all
	switch {
	case l.next.IsZero():
		l.next = now.Add(lineInterval)
	case !now.Before(l.next):
		l.next = now.Add(lineInterval)
		l.write()
	}
}

func (l *lines) write() {
	for i, p := range l.latest {
		line := fmt.Sprintf("%s: %s of %s (%d%%)%s\n", p.name, formatSize(p.done), formatSize(p.total), p.percent(), comma(p.detail))
		if p.unknown {
			line = fmt.Sprintf("%s: %s\n", p.name, p.detail)
		}
		if i == len(l.written) {
			l.written = append(l.written, "")
		}
		if l.written[i] != line {
			l.written[i] = line
			io.WriteString(l.w, line)
		}
	}
}

func (l *lines) note(format string, args ...any) { fmt.Fprintf(l.w, format+"\n", args...) }
func (l *lines) close()                          { l.write() }

// percent is rounded down: 100 means all.
func (p progress) percent() int64 {
	if p.total == 0 {
		return 100
	}
	return int64(float64(p.done) / float64(p.total) * 100)
}

func comma(detail string) string {
	if detail == "" {
		return ""
	}
	return ", " + detail
}

// barTemplate is a line of the pool: name, bar, percent and the rest.
const barTemplate = `{{string . "name"}} {{bar . "[" "=" ">" " " "]"}} {{percent . "%3.0f%%" "100%"}} {{string . "detail"}}`

// bars is a pool of progress bars.
type bars struct {
	pool   *pb.Pool
	frames *frames
	bars   []*pb.ProgressBar
}

// newBars takes over the terminal; it fails if there is none.
func newBars(w io.Writer) (*bars, error) {
	d := &bars{frames: &frames{w: w}, pool: pb.NewPool()}
	d.pool.Output = d.frames
	if err := d.pool.Start(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *bars) show(_ time.Time, all []progress) {
	columns, err := termutil.TerminalWidth()
	if err != nil {
		columns = 80
	}
	for i, p := range all {
		if i < len(d.bars) {
			updateBar(d.bars[i], p, columns)
			continue
		}
		bar := newBar()
		updateBar(bar, p, columns)
		d.bars = append(d.bars, bar)
		d.pool.Add(bar)
	}
}

func (d *bars) note(format string, args ...any) { d.frames.note(fmt.Sprintf(format, args...)) }

func (d *bars) close() {
	d.pool.Stop()
	d.frames.flush()
}

func newBar() *pb.ProgressBar {
	return pb.New64(0).SetTemplateString(barTemplate).Set(pb.Static, true).Set(pb.Color, false)
}

// The room on a line, in columns: nameWidth for a name, minBarWidth for the bar
// at least, and fixedWidth for the percentage and the spaces.
const (
	nameWidth   = 16
	minBarWidth = 10
	fixedWidth  = len("  100% ")
)

// updateBar sets what a bar shows. A line that is wider than the terminal would
// wrap, and the pool would no longer find its way up: the detail is cut.
func updateBar(bar *pb.ProgressBar, p progress, columns int) {
	name := cut(p.name, nameWidth)
	name += strings.Repeat(" ", nameWidth-pb.CellCount(name))
	if p.unknown {
		p.done, p.total = 0, 1 // of nothing, a bar would show 100%
	}
	bar.SetTotal(p.total).SetCurrent(p.done)
	bar.Set("name", name).Set("detail", cut(p.detail, columns-nameWidth-minBarWidth-fixedWidth))
}

// cut shortens text to so many columns.
func cut(text string, columns int) string {
	if pb.CellCount(text) <= columns {
		return text
	}
	for text != "" && pb.CellCount(text)+1 > columns {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text + "…"
}

// frames is what the pool draws on. Each Write is one frame: the cursor goes
// up over the last one, and the bars are drawn anew. A note that was written to
// the terminal directly would be drawn over, so it waits for the next frame and
// goes in above the bars.
type frames struct {
	mu    sync.Mutex
	w     io.Writer
	notes bytes.Buffer
}

// cursorUp is how a frame begins that is not the first.
var cursorUp = regexp.MustCompile(`^\x1b\[\d+A`)

func (f *frames) Write(frame []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notes.Len() == 0 {
		return f.w.Write(frame)
	}
	up := cursorUp.Find(frame)
	var out []byte
	out = append(out, up...)
	out = append(out, "\r\x1b[J"...) // erase from here to the end of the screen
	out = append(out, f.notes.Bytes()...)
	out = append(out, frame[len(up):]...)
	f.notes.Reset()
	if _, err := f.w.Write(out); err != nil {
		return 0, err
	}
	return len(frame), nil
}

func (f *frames) note(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes.WriteString(line + "\n")
}

// flush writes the notes that no frame took along.
func (f *frames) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes.WriteTo(f.w)
}

// drawInterval is the time between two looks at what is shown: the pool's own.
const drawInterval = 200 * time.Millisecond

// watch shows what sample returns until stop is called, which also waits for
// the last frame.
func (e *env) watch(quiet bool, sample func() []progress) (stop func()) {
	d := e.newDisplay(quiet)
	done, drawn := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drawn)
		ticker := time.NewTicker(drawInterval)
		defer ticker.Stop()
		for shown := false; ; shown = true {
			select {
			case now := <-ticker.C:
				d.show(now, sample())
			case <-done:
				if shown { // what took no time needs no progress
					d.show(time.Now(), sample())
				}
				d.close()
				return
			}
		}
	}()
	return func() {
		close(done)
		<-drawn
	}
}
