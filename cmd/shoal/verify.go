package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

func verifyCommand() command {
	return command{
		name:    "verify",
		summary: "check data on disk against a torrent",
		usage:   "[flags] TORRENT PATH",
		about: `
PATH is the torrent's own file or folder, or the folder that holds it. Nothing
is written. Files and pieces that are not as the torrent says are named, and the
exit code is 3 then.`,
		example: "shoal verify photos.torrent photos/",
		new:     func() runner { return new(verifyRun) },
	}
}

type verifyRun struct{ json, quiet bool }

func (r *verifyRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
	fs.BoolVar(&r.quiet, "quiet", false, "show no progress")
}

// verifyJSON is what "shoal verify --json" prints.
type verifyJSON struct {
	InfoHash  string        `json:"info_hash"`
	Name      string        `json:"name"`
	OK        bool          `json:"ok"`
	Pieces    int           `json:"pieces"`
	BadPieces []int         `json:"bad_pieces"`
	Bytes     int64         `json:"bytes"`
	BytesOK   int64         `json:"bytes_ok"`
	BadFiles  []badFileJSON `json:"bad_files"`
}

// badFileJSON is a file that is not as the torrent says.
type badFileJSON struct {
	Path      string `json:"path"`
	State     string `json:"state"`
	BadPieces int    `json:"bad_pieces"`
}

func (r *verifyRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 2 {
		return usagef("name the torrent and the data, as in \"shoal verify photos.torrent photos/\"")
	}
	m, err := loadTorrentFor(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	store, err := openData(args[1], &m.Info, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	good, err := e.checkPieces(ctx, r.quiet, store, &m.Info, nil)
	if err != nil {
		return err
	}
	files := badFiles(store, &m.Info, good)
	if err := mustBeReadable(store, &m.Info, files); err != nil {
		return err
	}
	return r.report(e, m, good, files)
}

func (r *verifyRun) report(e *env, m *metainfo.Metainfo, good *bitfield.Set, files []fileState) error {
	bad := missing(good, nil)
	if r.json {
		if err := e.printJSON(verifyResult(m, bad, files)); err != nil {
			return err
		}
	} else {
		printVerified(e, &m.Info, bad, files)
	}
	if bad.Count() == 0 && len(files) == 0 {
		return nil
	}
	return mismatchf("%d of %s and %d of %s are not as the torrent says",
		bad.Count(), count(bad.Len(), "piece"), len(files), count(numFiles(&m.Info), "file"))
}

func verifyResult(m *metainfo.Metainfo, bad *bitfield.Set, files []fileState) verifyJSON {
	out := verifyJSON{
		InfoHash: m.InfoHash.String(), Name: m.Info.Name,
		OK:     bad.Count() == 0 && len(files) == 0,
		Pieces: bad.Len(), BadPieces: []int{},
		Bytes: m.Info.Geometry.TotalLen(), BytesOK: m.Info.Geometry.TotalLen() - lenOf(&m.Info, bad),
		BadFiles: []badFileJSON{},
	}
	for pieceIndex := range bad.Members() {
		out.BadPieces = append(out.BadPieces, pieceIndex)
	}
	for _, f := range files {
		out.BadFiles = append(out.BadFiles, badFileJSON{joinPath(&m.Info.Files[f.fileIndex]), f.state, f.badPieces})
	}
	return out
}

func printVerified(e *env, info *metainfo.Info, bad *bitfield.Set, files []fileState) {
	if bad.Count() == 0 && len(files) == 0 {
		e.printf("%s: all of %s are right\n", printable(info.Name), count(bad.Len(), "piece"))
		return
	}
	for _, f := range files {
		e.printf("%-9s  %s (%s bad)\n", f.state, shownPath(&info.Files[f.fileIndex]), count(f.badPieces, "piece"))
	}
	if bad.Count() > 0 {
		e.printf("bad pieces: %s\n", ranges(bad))
	}
}

// ranges writes a set of pieces as 3, 5-7, 12.
func ranges(set *bitfield.Set) string {
	text := ""
	first, last := -1, -2
	flush := func() {
		switch {
		case first < 0:
		case first == last:
			text += fmt.Sprintf(", %d", first)
		default:
			text += fmt.Sprintf(", %d-%d", first, last)
		}
	}
	for i := range set.Members() {
		if i != last+1 {
			flush()
			first = i
		}
		last = i
	}
	flush()
	if text == "" {
		return "none"
	}
	return text[len(", "):]
}
