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

func TestBarShowsNameAndDetail(t *testing.T) {
	bar := newBar()
	bar.SetWidth(80)
	bar.update(progress{name: "film", done: 50, total: 200, detail: "2 peers"})
	got := bar.String()
	if !strings.HasPrefix(got, "film                 [=") || !strings.HasSuffix(got, "]  25% 2 peers") {
		t.Errorf("bar %q", got)
	}
	if n := pb.CellCount(got); n > 80 {
		t.Errorf("%d columns", n)
	}
}

func TestNamesFitBesideTheBar(t *testing.T) {
	for name, want := range map[string]string{
		"film":                    "film                ",
		"exactly twenty wide.":    "exactly twenty wide.",
		"a name that is too long": "a name that is too …",
		"これは長すぎる名前です。":            "これは長すぎる名前… ",
	} {
		if got := fitName(name); got != want {
			t.Errorf("fitName(%q) = %q, want %q", name, got, want)
		}
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
