package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

// newLogger returns a logger whose warnings and errors go to note, a line each
// that looks like the other lines of this program.
func newLogger(note func(format string, args ...any)) *slog.Logger {
	return slog.New(noteHandler{note: note})
}

// noteHandler is the slog.Handler of newLogger.
type noteHandler struct {
	note  func(format string, args ...any)
	attrs []slog.Attr
}

func (noteHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (h noteHandler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	add := func(a slog.Attr) bool {
		line += fmt.Sprintf("; %s: %v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.note("%s", oneLine(line))
	return nil
}

func (h noteHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(slices.Clip(h.attrs), attrs...)
	return h
}

func (h noteHandler) WithGroup(string) slog.Handler { return h }
