package metainfo

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLen bounds a component of a DiskPath, in bytes. File systems take
// 255; the rest is left for the suffix of a temporary or resume file.
const MaxNameLen = 240

// Bounds of a whole DiskPath. What a torrent nests deeper goes into the
// folder at the bound. A path of maxPathLen and a long download folder still
// fit the 4,096 bytes that Linux takes.
const (
	maxPathDepth = 100
	maxPathLen   = 2048 // in bytes, from which on no further folder is entered
)

// maxExtLen is the longest ending, in bytes with its dot, that counts as an
// extension and survives when a name is cut.
const maxExtLen = 20

// numberLen is kept free in a cut name for " (4194304)" and more.
const numberLen = 12

// Printable returns s with everything that could act on a terminal or mislead
// its reader as an escape: control characters, invisible and direction-changing
// ones as \u202e, bytes that are not UTF-8 as \xff. Use it on every string that
// came from a stranger.
func Printable(s string) string {
	if isPrintableASCII(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// SafeName turns one component of a stranger's path into a file name that is
// not special on any system: not empty, no separator, drive letter, control,
// invisible or direction-changing character, no device of Windows ("con",
// "com1.txt"), no trailing dot or space, valid UTF-8, at most MaxNameLen bytes
// with the extension kept. A name that is all that already is unchanged. On
// Windows, the further characters that it refuses are replaced; elsewhere they
// are kept, or data of other clients would not be found.
func SafeName(name string) string { return safeName(name, runtime.GOOS == "windows") }

func safeName(name string, onWindows bool) string {
	forbidden := `/\`
	if onWindows {
		forbidden = `/\<>:"|?*`
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case ' ' <= r && r <= '~' && !strings.ContainsRune(forbidden, r): // nearly all
			return r
		case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point): // zero-width, bidi
			return -1
		case strings.ContainsRune(forbidden, r), r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return '_'
		}
		return r
	}, name)
	if hasDrive(name) {
		name = name[:1] + "_" + name[2:]
	}
	// Cutting may uncover a device or leave nothing, dodging may make the name
	// too long by one.
	name = cutName(trimEnd(name))
	if name == "" {
		return "_"
	}
	return cutName(dodgeDevice(name))
}

// trimEnd cuts what Windows ignores at the end of a name, so that "..", "a."
// and "a " cannot mean something else there. It also makes "." and ".." empty.
func trimEnd(name string) string { return strings.TrimRight(name, " .") }

// dodgeDevice changes the names that Windows reads as devices, with any
// extension and in any case.
func dodgeDevice(name string) string {
	stem, rest, found := strings.Cut(name, ".")
	device := strings.ToLower(strings.TrimRight(stem, " "))
	if !isDevice(device) {
		return name
	}
	if found {
		rest = "." + rest
	}
	return stem + "_" + rest
}

func isDevice(lower string) bool {
	switch lower {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	port, isPort := strings.CutPrefix(lower, "com")
	if !isPort {
		port, isPort = strings.CutPrefix(lower, "lpt")
	}
	// Windows takes the superscript digits of Latin-1 as digits here.
	return isPort && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"}, port)
}

func cutName(name string) string {
	if len(name) <= MaxNameLen {
		return name
	}
	stem, ext := splitExt(name)
	return trimEnd(cutRunes(stem, MaxNameLen-len(ext))) + ext
}

// numbered is the name with a number in front of its extension.
func numbered(name string, number int) string {
	stem, ext := cutForNumber(name)
	return stem + " (" + strconv.Itoa(number) + ")" + ext
}

func cutForNumber(name string) (stem, ext string) {
	stem, ext = splitExt(name)
	return cutRunes(stem, MaxNameLen-len(ext)-numberLen), ext
}

func splitExt(name string) (stem, ext string) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || len(name)-dot > maxExtLen {
		return name, ""
	}
	return name[:dot], name[dot:]
}

// cutRunes returns the longest start of s that has at most maxLen bytes and
// ends with a whole character.
func cutRunes(s string, maxLen int) string {
	if len(s) <= maxLen {
		return s
	}
	for maxLen > 0 && !utf8.RuneStart(s[maxLen]) {
		maxLen--
	}
	return s[:maxLen]
}

// namer gives files their DiskPaths, and sees to it that no two are equal,
// nor a file and a folder, where case does not count. The same torrent gets
// the same names everywhere and every time: they depend on nothing else than
// its file list, in order.
type namer struct {
	folders      map[inFolder]int32    // by the torrent's own word
	paths        []string              // DiskPath of each folder; folder 0 is the download folder
	used         map[inFolder]struct{} // folded names
	nextNumber   map[inFolder]int      // for folded names that were taken
	renamed      int
	firstRenamed string
}

// inFolder is a name inside of a folder.
type inFolder struct {
	folder int32
	name   string
}

func newNamer() *namer {
	return &namer{
		folders:    make(map[inFolder]int32),
		paths:      []string{""},
		used:       make(map[inFolder]struct{}),
		nextNumber: make(map[inFolder]int),
	}
}

// file returns the DiskPath for the path below folder.
func (n *namer) file(folder int32, path []string) string {
	last := len(path) - 1
	for depth, component := range path[:last] {
		// The torrent's own folder and the file are two levels more.
		if depth >= maxPathDepth-2 || len(n.paths[folder]) > maxPathLen {
			n.noteRenamed(path[last])
			break
		}
		folder = n.folder(folder, component)
	}
	return n.join(folder, n.unique(folder, path[last]))
}

// folder returns the folder that component names below parent.
func (n *namer) folder(parent int32, component string) int32 {
	key := inFolder{parent, component}
	id, known := n.folders[key]
	if !known {
		id = int32(len(n.paths))
		n.folders[key] = id
		n.paths = append(n.paths, n.join(parent, n.unique(parent, component)))
	}
	return id
}

func (n *namer) join(folder int32, name string) string {
	if folder == 0 {
		return name
	}
	return n.paths[folder] + "/" + name
}

// unique returns the safe name for component in folder that nothing else has,
// with a number if need be. Five hundred files of one name cost five hundred
// steps: the number to try next is kept, for all names that are equal once
// they are cut to make room for it.
func (n *namer) unique(folder int32, component string) string {
	name := SafeName(component)
	if n.take(folder, name) {
		if name != component {
			n.noteRenamed(component)
		}
		return name
	}
	n.noteRenamed(component)
	stem, ext := cutForNumber(name)
	counter := inFolder{folder, fold(stem) + "/" + fold(ext)}
	number := max(n.nextNumber[counter], 2)
	for !n.take(folder, numbered(name, number)) {
		number++
	}
	n.nextNumber[counter] = number + 1
	return numbered(name, number)
}

// take marks name as used in folder and reports whether it was free.
func (n *namer) take(folder int32, name string) bool {
	key := inFolder{folder, fold(name)}
	if _, taken := n.used[key]; taken {
		return false
	}
	n.used[key] = struct{}{}
	return true
}

func (n *namer) noteRenamed(component string) {
	if n.renamed++; n.renamed == 1 {
		n.firstRenamed = component
	}
}

// fold makes names equal that a disk may hold to be: upper and lower case.
// Through upper case first, because some letters have several lower ones.
func fold(name string) string {
	if isPrintableASCII(name) {
		return strings.ToLower(name)
	}
	return strings.ToLower(strings.ToUpper(name))
}
