package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
)

// nodeView shows a node that runs.
type nodeView interface {
	interval() time.Duration
	show(last, next snapshot)
	joined(now snapshot)
	note(format string, args ...any) // a line that stays; safe for concurrent use
	close()
}

// newView returns the view that the flags and the terminal ask for.
func (r *dhtRun) newView(e *env) nodeView {
	notes := notes{e}
	switch {
	case r.json:
		return jsonView{notes, r.interval}
	case r.quiet:
		return quietView{notes}
	case e.stderrIsTerminal:
		return &screenView{w: e.stderr}
	}
	return lineView{notes, r.interval}
}

// notes writes lines to stderr.
type notes struct{ e *env }

func (n notes) note(format string, args ...any) { n.e.logf(format, args...) }
func (notes) close()                            {}

// quietView shows nothing.
type quietView struct{ notes }

func (quietView) interval() time.Duration { return time.Hour } // it has nothing to do then
func (quietView) show(_, _ snapshot)      {}
func (quietView) joined(snapshot)         {}

// jsonView prints a snapshot as one object.
type jsonView struct {
	notes
	every time.Duration
}

func (v jsonView) interval() time.Duration { return v.every }
func (jsonView) joined(snapshot)           {}

func (v jsonView) show(_, next snapshot) {
	v.e.printJSON(next.json()) // a failure is output's to remember
}

// lineView prints a line, if something has changed.
type lineView struct {
	notes
	every time.Duration
}

func (v lineView) interval() time.Duration { return v.every }

func (v lineView) joined(now snapshot) {
	v.note("joined: %s", now.tables())
}

func (v lineView) show(last, next snapshot) {
	if !reflect.DeepEqual(last.Stats, next.Stats) {
		rates := ratesOf(last, next)
		v.note("%s; %s in store; in %s, out %s", next.tables(), next.inStore(), formatRate(rates.in), formatRate(rates.out))
	}
}

// tables tells how many nodes the tables have: "212 IPv4 nodes and 40 IPv6
// nodes".
func (s snapshot) tables() string {
	switch {
	case !s.IPv6.On:
		return count(s.IPv4.NumNodes, "IPv4 node")
	case !s.IPv4.On:
		return count(s.IPv6.NumNodes, "IPv6 node")
	}
	return fmt.Sprintf("%s and %s", count(s.IPv4.NumNodes, "IPv4 node"), count(s.IPv6.NumNodes, "IPv6 node"))
}

func (s snapshot) inStore() string {
	return fmt.Sprintf("%s of %s and %s", count(s.Stored.Peers, "peer"), count(s.Stored.Torrents, "torrent"), count(s.Stored.Items, "value"))
}

// rates are bytes per second between two snapshots.
type rates struct{ in, out int64 }

func ratesOf(last, next snapshot) rates {
	return rates{
		in:  int64(perSecond(last, next, last.In.Bytes, next.In.Bytes)),
		out: int64(perSecond(last, next, last.Out.Bytes, next.Out.Bytes)),
	}
}

// perSecond is how fast a counter has grown between two snapshots.
func perSecond(last, next snapshot, before, after uint64) float64 {
	elapsed := next.uptime - last.uptime
	if elapsed <= 0 {
		return 0
	}
	return float64(after-before) / elapsed.Seconds()
}

// methods are the queries that a node counts, in the order of the view.
var methods = []krpc.Method{
	krpc.Ping, krpc.FindNode, krpc.GetPeers, krpc.AnnouncePeer, krpc.Get, krpc.Put, krpc.SampleInfohashes, krpc.Unknown,
}

// viewLines is a node as a terminal shows it: 23 lines, which fit the smallest
// that is usual.
func viewLines(last, next snapshot) []string {
	var b strings.Builder
	state := "joining"
	if next.Ready {
		state = "joined"
	}
	fmt.Fprintf(&b, "node      %s, %s, up %s\n", next.ID, state, formatDuration(next.uptime))
	fmt.Fprintf(&b, "address   %s\n", next.addresses())
	fmt.Fprintf(&b, "storage   %s\n", next.inStore())
	fmt.Fprintf(&b, "lookups   %d running, %d waiting\n", next.Lookups, next.WaitingLookups)
	fmt.Fprintf(&b, "dropped   %d malformed, %d unsolicited, %d over quota, %d not sent\n\n",
		next.Counts.Malformed, next.Counts.Unsolicited, next.Counts.OverQuota, next.Dropped.SendFailed)
	writeTables(&b, next)
	writeTraffic(&b, last, next)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// addresses tells where the node listens, and what others see of that.
func (s snapshot) addresses() string {
	var all []string
	for _, addr := range s.listen {
		all = append(all, addr.String())
	}
	text := strings.Join(all, " and ")
	if s.External.IsValid() {
		text += ", seen by others as " + s.External.String()
	}
	return text
}

// writeTables writes a column for each bucket and a row for each family.
func writeTables(b *strings.Builder, s snapshot) {
	fmt.Fprintf(b, "%-9s %6s", "table", "nodes")
	for bucket := range max(len(s.IPv4.Buckets), len(s.IPv6.Buckets)) {
		fmt.Fprintf(b, "%5s", fmt.Sprintf("/%d", bucket))
	}
	b.WriteByte('\n')
	for _, family := range []struct {
		name string
		dht.TableStats
	}{{"IPv4", s.IPv4}, {"IPv6", s.IPv6}} {
		if !family.On {
			continue
		}
		fmt.Fprintf(b, "%-9s %6d", family.name, family.NumNodes)
		for _, numNodes := range family.Buckets {
			fmt.Fprintf(b, "%5d", numNodes)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

func writeTraffic(b *strings.Builder, last, next snapshot) {
	const row = "%-18s %11s %11s %12s %12s\n"
	fmt.Fprintf(b, row, "traffic", "in/s", "out/s", "in", "out")
	rates := ratesOf(last, next)
	fmt.Fprintf(b, row, "bytes", formatSize(rates.in), formatSize(rates.out), formatSize(int64(next.In.Bytes)), formatSize(int64(next.Out.Bytes)))
	counter := func(name string, inBefore, in, outBefore, out uint64) {
		perSec := func(before, after uint64) string { return fmt.Sprintf("%.1f", perSecond(last, next, before, after)) }
		fmt.Fprintf(b, row, name, perSec(inBefore, in), perSec(outBefore, out), fmt.Sprint(in), fmt.Sprint(out))
	}
	counter("packets", last.In.Packets, next.In.Packets, last.Out.Packets, next.Out.Packets)
	was, is := &last.Counts, &next.Counts
	for _, m := range methods {
		counter(m.String(), was.QueriesIn[m], is.QueriesIn[m], was.QueriesOut[m], is.QueriesOut[m])
	}
	counter("responses", was.ResponsesIn, is.ResponsesIn, was.ResponsesOut, is.ResponsesOut)
	counter("errors", was.ErrorsIn, is.ErrorsIn, was.ErrorsOut, is.ErrorsOut)
}

// screenView draws a node on a terminal, each time over the last one.
type screenView struct {
	mu    sync.Mutex
	w     io.Writer
	notes bytes.Buffer // not written yet
	drawn int          // lines of the last view
}

func (v *screenView) interval() time.Duration { return drawNode }
func (v *screenView) joined(snapshot)         {}

func (v *screenView) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(&v.notes, format+"\n", args...)
	if v.drawn == 0 {
		v.notes.WriteTo(v.w)
	}
}

func (v *screenView) show(last, next snapshot) {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil {
		columns, rows = 80, 24
	}
	v.draw(viewLines(last, next), columns, rows)
}

// draw writes a frame: up over the last one, the notes, which stay, and the
// lines. What does not fit is left out, or the cursor would not find its way
// up the next time.
func (v *screenView) draw(lines []string, columns, rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var frame bytes.Buffer
	if v.drawn > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", v.drawn)
	}
	frame.WriteString("\r\x1b[J") // erase from here to the end of the screen
	v.notes.WriteTo(&frame)
	lines = lines[:min(len(lines), max(rows-1, 1))]
	for _, line := range lines {
		frame.WriteString(cut(line, columns) + "\n")
	}
	v.drawn = len(lines)
	v.w.Write(frame.Bytes())
}

func (v *screenView) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes.WriteTo(v.w)
	v.drawn = 0 // what is noted from now on comes below
}
