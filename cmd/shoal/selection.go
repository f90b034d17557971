package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// selection says which files of a torrent the patterns of --select name, and
// which pieces those need.
type selection struct {
	files []bool // by file index
	want  *bitfield.Set
	bytes int64 // in the wanted pieces
}

// selectFiles applies patterns to the files of info; none means every file. It
// is an error if one pattern matches nothing: it is most likely mistyped.
func selectFiles(info *metainfo.Info, patterns []string) (selection, error) {
	s := newSelection(info)
	if len(patterns) == 0 {
		patterns = []string{"**"}
	}
	for _, pattern := range patterns {
		matched, err := s.add(info, pattern)
		if err != nil {
			return selection{}, err
		}
		if !matched {
			return selection{}, usagef("--select %q matches no file of %s; it has %s",
				pattern, printable(info.Name), someNames(info))
		}
	}
	s.count(info)
	return s, nil
}

func newSelection(info *metainfo.Info) selection {
	return selection{files: make([]bool, len(info.Files)), want: bitfield.New(info.Geometry.NumPieces())}
}

// count sets bytes.
func (s *selection) count(info *metainfo.Info) {
	for i := range s.want.Members() {
		s.bytes += int64(info.Geometry.PieceLen(i))
	}
}

// selectIndices selects files by their numbers, as a magnet link does (BEP 53).
// Numbers without a file are left out, as long as there are others: whoever
// made the link may have been generous.
func selectIndices(info *metainfo.Info, ranges []metainfo.IndexRange) (selection, error) {
	s := newSelection(info)
	matched := false
	for _, r := range ranges {
		for i := r.First; i <= min(r.Last, len(info.Files)-1); i++ {
			s.addFile(info, i)
			matched = true
		}
	}
	if !matched {
		return selection{}, fmt.Errorf("so= in the magnet link names no file of %s, which has %s; choose with --select",
			printable(info.Name), count(len(info.Files), "file"))
	}
	s.count(info)
	return s, nil
}

// chooseFiles applies --select or, without it, what a magnet link selects.
func chooseFiles(info *metainfo.Info, patterns []string, ranges []metainfo.IndexRange) (selection, error) {
	if len(patterns) == 0 && len(ranges) > 0 {
		return selectIndices(info, ranges)
	}
	return selectFiles(info, patterns)
}

// add selects what pattern matches. A padding file is nobody's choice, but
// "**" must not fail on a torrent of nothing else.
func (s *selection) add(info *metainfo.Info, pattern string) (matched bool, err error) {
	glob, err := parseGlob(pattern)
	if err != nil {
		return false, usagef("--select %q: %v", pattern, err)
	}
	for i := range info.Files {
		if !glob.match(info.Files[i].Path) {
			continue
		}
		matched = true
		s.addFile(info, i)
	}
	return matched, nil
}

// addFile selects a file, unless it is padding.
func (s *selection) addFile(info *metainfo.Info, fileIndex int) {
	if info.Files[fileIndex].Pad {
		return
	}
	s.files[fileIndex] = true
	first, end := info.PieceRange(fileIndex)
	for pieceIndex := first; pieceIndex < end; pieceIndex++ {
		s.want.Add(pieceIndex)
	}
}

// someNames lists the first files, for the error about a pattern that matches
// none.
func someNames(info *metainfo.Info) string {
	const most = 5
	var names []string
	left := 0
	for i := range info.Files {
		switch f := &info.Files[i]; {
		case f.Pad:
		case len(names) < most:
			names = append(names, shownPath(f))
		default:
			left++
		}
	}
	text := strings.Join(names, ", ")
	if left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

// shownPath is the path of a file as "shoal show --files" prints it, and as
// --select matches it: below the torrent's own folder.
func shownPath(f *metainfo.File) string { return printable(joinPath(f)) }

func joinPath(f *metainfo.File) string { return strings.Join(f.Path, "/") }

// glob is a pattern for paths, cut at its slashes. A component is matched as
// path.Match does it, upper and lower case apart; "**" stands for any number
// of folders. A pattern of one component is looked for in every folder, and one
// that names a folder takes all that is below it.
type glob []string

func parseGlob(pattern string) (glob, error) {
	g := glob(strings.Split(strings.Trim(pattern, "/"), "/"))
	for _, component := range g {
		if component == "" {
			return nil, fmt.Errorf("the pattern has an empty component; write it like *.mkv or docs/**")
		}
		if _, err := path.Match(component, ""); err != nil {
			return nil, fmt.Errorf("%q is not a pattern: check its brackets", component)
		}
	}
	if len(g) == 1 {
		g = glob{"**", g[0]}
	}
	return g, nil
}

// match reports whether the pattern matches the path, or one of the folders it
// is in. It takes len(g) x len(components) steps at most, however many "**"
// there are.
func (g glob) match(components []string) bool {
	// reached[j] says that the pattern so far matches the first j components.
	reached := make([]bool, len(components)+1)
	reached[0] = true
	for _, part := range g {
		next := make([]bool, len(components)+1)
		for j, ok := range reached {
			switch {
			case part == "**":
				next[j] = ok || (j > 0 && next[j-1])
			case ok && j < len(components):
				next[j+1], _ = path.Match(part, components[j])
			}
		}
		reached = next
	}
	for j, ok := range reached {
		if ok && j > 0 {
			return true
		}
	}
	return false
}
