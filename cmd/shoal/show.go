package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
)

func showCommand() command {
	return command{
		name:    "show",
		summary: "tell what is in a .torrent or a magnet link",
		usage:   "[flags] FILE|URL|MAGNET",
		about: `
What is odd about a torrent and yet does not keep it from being used is listed
at the end.`,
		example: "shoal show --files photos.torrent",
		new:     func() runner { return new(showRun) },
	}
}

type showRun struct{ json, files, magnet, strict bool }

func (r *showRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.files, "files", false, "list the files, too")
	fs.BoolVar(&r.magnet, "magnet", false, "print the magnet link and nothing else")
	fs.BoolVar(&r.strict, "strict", false, "fail if there is anything odd about the torrent")
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
}

// showJSON is what "shoal show --json" prints of a torrent.
type showJSON struct {
	InfoHash    string        `json:"info_hash"`
	Name        string        `json:"name"`
	Magnet      string        `json:"magnet"`
	Bytes       int64         `json:"bytes"`
	Pieces      int           `json:"pieces"`
	PieceLength int           `json:"piece_length"`
	MetaVersion int           `json:"meta_version"`
	Private     bool          `json:"private"`
	Source      string        `json:"source,omitempty"`
	Comment     string        `json:"comment,omitempty"`
	CreatedBy   string        `json:"created_by,omitempty"`
	Created     string        `json:"created,omitempty"`
	Trackers    [][]string    `json:"trackers"`
	WebSeeds    []string      `json:"web_seeds"`
	Nodes       []string      `json:"nodes"`
	Files       []fileJSON    `json:"files"`
	Findings    []findingJSON `json:"findings"`
}

// fileJSON is one file of a torrent.
type fileJSON struct {
	Path       string `json:"path"`
	DiskPath   string `json:"disk_path,omitempty"`
	Bytes      int64  `json:"bytes"`
	Pad        bool   `json:"pad,omitempty"`
	Executable bool   `json:"executable,omitempty"`
	Hidden     bool   `json:"hidden,omitempty"`
	Symlink    string `json:"symlink,omitempty"`
}

// findingJSON is one odd thing about a torrent.
type findingJSON struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Count   int    `json:"count"`
}

// magnetJSON is what "shoal show --json" prints of a magnet link.
type magnetJSON struct {
	InfoHash string   `json:"info_hash,omitempty"`  // not of a mutable link
	Key      string   `json:"public_key,omitempty"` // of a mutable link
	Salt     string   `json:"salt,omitempty"`
	Name     string   `json:"name"`
	Magnet   string   `json:"magnet"`
	Bytes    int64    `json:"bytes,omitempty"`
	Trackers []string `json:"trackers"`
	WebSeeds []string `json:"web_seeds"`
	Peers    []string `json:"peers"`
}

func (r *showRun) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) != 1:
		return usagef("name one .torrent file, URL or magnet link, in quotes if it contains &")
	case isMagnet(args[0]):
		return r.showMagnet(e, args[0])
	}
	m, err := loadTorrent(ctx, args[0])
	if err != nil {
		return err
	}
	if err := r.showTorrent(e, m); err != nil {
		return err
	}
	if r.strict && len(m.Findings) > 0 {
		return fmt.Errorf("%s with --strict: %s", count(len(m.Findings), "finding"), m.Findings[0].Message)
	}
	return nil
}

func (r *showRun) showTorrent(e *env, m *metainfo.Metainfo) error {
	switch {
	case r.magnet:
		e.printf("%s\n", m.Magnet())
	case r.json:
		return e.printJSON(showResult(m))
	default:
		printTorrent(e, m)
		if r.files {
			printFiles(e, &m.Info)
		}
		printFindings(e, m.Findings)
	}
	return nil
}

func (r *showRun) showMagnet(e *env, link string) error {
	m, err := metainfo.ParseMagnet(link)
	if err != nil {
		return err
	}
	switch {
	case r.magnet:
		e.printf("%s\n", m)
	case r.json:
		return e.printJSON(magnetResult(m))
	default:
		out := magnetResult(m)
		printField(e, "name", m.Name)
		printField(e, "info-hash", out.InfoHash)
		printField(e, "public key", out.Key)
		printField(e, "salt", out.Salt)
		if m.Len > 0 {
			printField(e, "size", formatSize(m.Len))
		}
		printEach(e, "tracker", m.Trackers)
		printEach(e, "web seed", m.WebSeeds)
		printEach(e, "peer", m.Peers)
	}
	return nil
}

func magnetResult(m metainfo.Magnet) magnetJSON {
	out := magnetJSON{
		Name: m.Name, Magnet: m.String(), Bytes: m.Len,
		Trackers: nonNil(m.Trackers), WebSeeds: nonNil(m.WebSeeds), Peers: nonNil(m.Peers),
	}
	if m.Mutable == nil {
		out.InfoHash = m.InfoHash.String()
		return out
	}
	out.Key, out.Salt = hex.EncodeToString(m.Mutable.Key[:]), hex.EncodeToString(m.Mutable.Salt)
	return out
}

func showResult(m *metainfo.Metainfo) showJSON {
	out := showJSON{
		InfoHash: m.InfoHash.String(), Name: m.Info.Name, Magnet: m.Magnet().String(),
		Bytes: m.Info.Geometry.TotalLen(), Pieces: m.Info.Geometry.NumPieces(),
		PieceLength: m.Info.Geometry.StdPieceLen(), MetaVersion: m.Info.MetaVersion,
		Private: m.Info.Private, Source: m.Info.Source, Comment: m.Comment, CreatedBy: m.CreatedBy,
		Trackers: nonNil(m.Announce), WebSeeds: nonNil(m.WebSeeds), Nodes: nonNil(m.Nodes),
		Files: []fileJSON{}, Findings: findingsJSON(m.Findings),
	}
	if !m.CreationDate.IsZero() {
		out.Created = m.CreationDate.UTC().Format(time.RFC3339)
	}
	for i := range m.Info.Files {
		f := &m.Info.Files[i]
		out.Files = append(out.Files, fileJSON{
			Path: joinPath(f), DiskPath: f.DiskPath, Bytes: f.Length, Pad: f.Pad,
			Executable: f.Executable, Hidden: f.Hidden, Symlink: f.Symlink,
		})
	}
	return out
}

func findingsJSON(findings []metainfo.Finding) []findingJSON {
	out := []findingJSON{}
	for _, f := range findings {
		out = append(out, findingJSON{Code: string(f.Code), Message: f.Message, Count: f.Count})
	}
	return out
}

// nonNil makes an empty list come out as [] in JSON, not as null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func printTorrent(e *env, m *metainfo.Metainfo) {
	printIdentity(e, m)
	printField(e, "source", m.Info.Source)
	printField(e, "comment", m.Comment)
	printField(e, "made by", m.CreatedBy)
	if !m.CreationDate.IsZero() {
		printField(e, "made on", m.CreationDate.UTC().Format(time.DateTime)+" UTC")
	}
	for i, tier := range m.Announce {
		printEach(e, fmt.Sprintf("tier %d", i+1), tier)
	}
	printEach(e, "web seed", m.WebSeeds)
	printEach(e, "node", m.Nodes)
}

// printIdentity says which torrent this is, and how large.
func printIdentity(e *env, m *metainfo.Metainfo) {
	geometry := m.Info.Geometry
	printField(e, "name", m.Info.Name)
	printField(e, "info-hash", m.InfoHash.String())
	printField(e, "size", fmt.Sprintf("%s in %s", formatSize(geometry.TotalLen()), count(numFiles(&m.Info), "file")))
	printField(e, "pieces", fmt.Sprintf("%d of %s", geometry.NumPieces(), formatSize(int64(geometry.StdPieceLen()))))
	if m.Info.Private {
		printField(e, "private", "yes")
	}
}

// numFiles counts the files that end up on disk.
func numFiles(info *metainfo.Info) (n int) {
	for i := range info.Files {
		if !info.Files[i].Pad {
			n++
		}
	}
	return n
}

func printField(e *env, name, value string) {
	if value != "" {
		e.printf("%-10s %s\n", name, printable(value))
	}
}

func printEach(e *env, name string, values []string) {
	for _, v := range values {
		printField(e, name, v)
	}
}

func printFiles(e *env, info *metainfo.Info) {
	e.printf("\n")
	for i := range info.Files {
		f := &info.Files[i]
		switch {
		case f.Pad:
		case f.Symlink != "":
			e.printf("%12s  %s -> %s\n", "link", shownPath(f), printable(f.Symlink))
		default:
			e.printf("%12s  %s\n", formatSize(f.Length), shownPath(f))
		}
	}
}

func printFindings(e *env, findings []metainfo.Finding) {
	if len(findings) == 0 {
		return
	}
	e.printf("\nfindings:\n")
	for _, f := range findings {
		times := ""
		if f.Count > 1 {
			times = fmt.Sprintf(" (%d times)", f.Count)
		}
		e.printf("  %s: %s%s\n", f.Code, f.Message, times)
	}
}
