package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cheggaaa/pb/v3"
)

func TestPlainLinesComeNowAndThen(t *testing.T) {
	var b strings.Builder
	l := &lines{w: &b}
	at := func(d time.Duration, done int64) {
		l.show(time.Unix(0, 0).Add(d), []progress{{name: "film", done: done, total: 200, detail: "2 peers"}})
	}
	at(0, 0)
	at(4*time.Second, 10)
	if b.Len() > 0 {
		t.Errorf("too early: %q", &b)
	}
	at(5*time.Second, 20)
	at(6*time.Second, 30)
	at(10*time.Second, 40)
	at(15*time.Second, 40) // the same line again
	l.note("film: paused")
	at(16*time.Second, 199)
	l.close()
	want := "film: 20 B of 200 B (10%), 2 peers\nfilm: 40 B of 200 B (20%), 2 peers\nfilm: paused\nfilm: 199 B of 200 B (99%), 2 peers\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

func TestQuietDisplayTellsWhatGoesWrong(t *testing.T) {
	var b strings.Builder
	d := (&env{stderr: &b, stderrIsTerminal: true}).newDisplay(true)
	d.show(time.Now(), []progress{{name: "film", total: 1}})
	d.note("film: %s", "the disk is full")
	d.close()
	if b.String() != "film: the disk is full\n" {
		t.Errorf("got %q", &b)
	}
}

func TestBarFitsItsTerminal(t *testing.T) {
	for columns, want := range map[int]string{
		80: "film             [=======>                     ]  25% 1/4 pieces, down 1.0 MiB/s",
		60: "film             [==>      ]  25% 1/4 pieces, down 1.0 MiB/s",
		50: "film             [=>      ]  25% 1/4 pieces, down…",
	} {
		bar := newBar()
		bar.SetWidth(columns)
		updateBar(bar, progress{name: "film", done: 50, total: 200, detail: "1/4 pieces, down 1.0 MiB/s"}, columns)
		if got := bar.String(); got != want || pb.CellCount(got) > columns {
			t.Errorf("on %d columns:\n%q of %d columns, want\n%q", columns, got, pb.CellCount(got), want)
		}
	}
}

func TestTextIsCutByColumns(t *testing.T) {
	for text, want := range map[string]string{
		"film": "film", "exactly 16 wide.": "exactly 16 wide.", "a name that is too long": "a name that is …",
		"これは長すぎる名前です。": "これは長すぎる…", // two columns each
	} {
		if got := cut(text, nameWidth); got != want || pb.CellCount(got) > nameWidth {
			t.Errorf("cut(%q) = %q, want %q", text, got, want)
		}
	}
	if got := cut("anything", -5); got != "…" {
		t.Errorf("no room at all: %q", got)
	}
}

// A note goes above the bars, where the next frame does not draw over it.
func TestNotesGoAboveTheBars(t *testing.T) {
	var b strings.Builder
	f := &frames{w: &b}
	f.Write([]byte("\rbar 10%\n"))
	f.note("a tracker failed")
	f.Write([]byte("\x1b[1A\rbar 20%\n"))
	f.note("at the end")
	f.flush()
	want := "\rbar 10%\n" + "\x1b[1A" + "\r\x1b[J" + "a tracker failed\n" + "\rbar 20%\n" + "at the end\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestPercentIsRoundedDown(t *testing.T) {
	for _, test := range []struct{ done, total, want int64 }{{0, 0, 100}, {0, 3, 0}, {2, 3, 66}, {1<<40 - 1, 1 << 40, 99}, {3, 3, 100}} {
		if got := (progress{done: test.done, total: test.total}).percent(); got != test.want {
			t.Errorf("%d of %d is %d%%, want %d%%", test.done, test.total, got, test.want)
		}
	}
}
