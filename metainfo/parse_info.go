package metainfo

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// infoValues are the values of an info dictionary, not yet looked at.
type infoValues struct {
	name, nameUTF8, pieceLength, pieces, length, files bscan.Value
	attr, private, source, metaVersion, fileTree       bscan.Value
}

func splitInfo(dict bscan.Value) (in infoValues) {
	assignFirst(dict, map[string]*bscan.Value{
		"name": &in.name, "name.utf-8": &in.nameUTF8, "piece length": &in.pieceLength, "pieces": &in.pieces,
		"length": &in.length, "files": &in.files, "attr": &in.attr, "private": &in.private, "source": &in.source,
		"meta version": &in.metaVersion, "file tree": &in.fileTree,
	})
	return in
}

// readInfo reads the info dictionary that b is, the whole of b.
//
// A key that occurs twice in it is fatal, unlike outside: which one counts
// differs between programs, so two of them would see different files under
// one info-hash. Unsorted keys are not: such torrents exist, and everyone
// reads the same from them.
func (m *Metainfo) readInfo(b []byte) error {
	dict, report, err := bscan.Scan(b, bscan.Limits{})
	switch {
	case err != nil:
		return fmt.Errorf("info dictionary is damaged at byte %d: %w", report.Offset, err)
	case report.Trailing > 0:
		return fmt.Errorf("info dictionary: %w", bscan.ErrTrailing)
	case dict.Kind() != bscan.Dict:
		return errors.New("info dictionary: it is not a dictionary")
	case report.Duplicate:
		return fmt.Errorf("info dictionary: %w, so that programs would not agree on what the torrent holds", bscan.ErrDuplicate)
	}
	if report.Unsorted && !m.has(FindUnsortedKeys) {
		m.find(FindUnsortedKeys, "dictionary keys are not sorted; the info-hash is of the original bytes")
	}
	m.InfoBytes, m.InfoHash = b, hashInfo(b)
	if err := m.readInfoValues(splitInfo(dict)); err != nil {
		return fmt.Errorf("info dictionary: %w", err)
	}
	return nil
}

func (m *Metainfo) readInfoValues(in infoValues) error {
	if err := m.readMetaVersion(in); err != nil {
		return err
	}
	m.Info.Name = m.name(in.name, in.nameUTF8)
	m.Info.Source = m.text("source", in.source, bscan.Value{})
	private, _ := in.private.Int()
	m.Info.Private = private == 1 // BEP 27: "private=1"
	symlinks, err := m.readFiles(in)
	if err != nil {
		return err
	}
	if err := m.readPieces(in); err != nil {
		return err
	}
	m.nameFiles(symlinks)
	return nil
}

// readMetaVersion refuses what has no v1 part: the keys "meta version" and
// "file tree" are v2's, "pieces" is v1's, and a hybrid torrent has all three.
// BEP 52: "Implementations must check this field first and indicate that a
// torrent is of a newer version than they can handle".
func (m *Metainfo) readMetaVersion(in infoValues) error {
	m.Info.MetaVersion = 1
	version, isInt := in.metaVersion.Int()
	isV2 := isInt && version == 2 || in.fileTree.Kind() == bscan.Dict
	switch {
	case isV2 && in.pieces.Kind() == bscan.None:
		return ErrV2Only
	case isInt && version > 2 && in.pieces.Kind() == bscan.None:
		return fmt.Errorf("meta version %d is newer than this Shoal: get a newer one, or a v1 torrent", version)
	case isV2:
		m.Info.MetaVersion = 2
		m.find(FindHybrid, "a hybrid of v1 and v2; it is used as v1")
	case in.metaVersion.Kind() != bscan.None && version != 1:
		m.find(FindMetaVersion, "an unknown meta version; the torrent is used as v1")
	}
	return nil
}

// name reads a name of which the UTF-8 variant wins. A name that is not UTF-8
// is kept as it is: only its DiskPath is made so.
func (m *Metainfo) name(v, utf8Variant bscan.Value) string {
	s, ok := utf8Variant.Str()
	if !ok || len(s) == 0 {
		s, _ = v.Str()
	}
	if !utf8.Valid(s) {
		m.find(FindNotUTF8, "the name %q is not UTF-8", s)
	}
	return string(s)
}

func (m *Metainfo) readPieces(in infoValues) error {
	pieceLen, ok := in.pieceLength.Int()
	if !ok {
		return errors.New("the piece length is missing")
	}
	geometry, err := NewGeometry(m.totalLen(), pieceLen)
	if err != nil {
		return err
	}
	hashes, ok := in.pieces.Str()
	switch {
	case !ok:
		return errors.New("the piece hashes are missing")
	case geometry.TotalLen() == 0:
		return errors.New("all files are empty, so there is nothing to share")
	case len(hashes)%20 != 0:
		return fmt.Errorf("the piece hashes are %d bytes, which is not a multiple of 20", len(hashes))
	case len(hashes)/20 != geometry.NumPieces():
		return fmt.Errorf("there are %d piece hashes for %d pieces", len(hashes)/20, geometry.NumPieces())
	}
	if bits.OnesCount64(uint64(pieceLen)) != 1 || pieceLen < BlockLen {
		m.find(FindPieceLength, "the piece length %d is not a power of two of at least %d", pieceLen, BlockLen)
	}
	m.Info.Geometry, m.Info.pieces = geometry, hashes
	return nil
}

func (m *Metainfo) totalLen() int64 {
	last := m.Info.Files[len(m.Info.Files)-1]
	return last.Offset + last.Length
}

// readFiles reads the file list and returns the raw targets of the symbolic
// links among them, by file index. BEP 3: "There is also a key length or a
// key files, but not both or neither."
func (m *Metainfo) readFiles(in infoValues) (symlinks map[int][]string, err error) {
	length, isSingle := in.length.Int()
	isMulti := in.files.Kind() == bscan.List
	switch {
	case isMulti:
		if isSingle {
			m.find(FindLengthAndFiles, "both a length and a list of files; the list counts")
		}
		m.Info.Multi = true
		return m.readFileList(in.files)
	case !isSingle:
		return nil, errors.New("neither a length nor a list of files")
	case length < 0:
		return nil, fmt.Errorf("the length %d is negative", length)
	}
	f := File{Path: []string{m.Info.Name}, Length: length}
	attr, _ := in.attr.Str()
	f.Executable, f.Hidden = strings.Contains(string(attr), "x"), strings.Contains(string(attr), "h")
	m.Info.Files = []File{f}
	return nil, nil
}

func (m *Metainfo) readFileList(list bscan.Value) (symlinks map[int][]string, err error) {
	numFiles := 0
	for range list.List() {
		numFiles++
	}
	m.Info.Files = make([]File, 0, numFiles)
	symlinks = make(map[int][]string)
	var offset int64
	for element := range list.List() {
		f, target, err := m.readFile(element)
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", len(m.Info.Files), err)
		}
		f.Offset = offset
		if offset += f.Length; offset < 0 {
			return nil, errors.New("the total length does not fit 64 bits")
		}
		if target != nil {
			symlinks[len(m.Info.Files)] = target
		}
		m.Info.Files = append(m.Info.Files, f)
	}
	if len(m.Info.Files) == 0 {
		return nil, errors.New("the list of files is empty")
	}
	return symlinks, nil
}

// readFile reads one entry of the file list, with the attributes of BEP 47.
func (m *Metainfo) readFile(dict bscan.Value) (f File, target []string, err error) {
	var path, pathUTF8, length, attr, symlink bscan.Value
	for key, v := range dict.Dict() {
		switch string(key) {
		case "path":
			path = v
		case "path.utf-8":
			pathUTF8 = v
		case "length":
			length = v
		case "attr":
			attr = v
		case "symlink path":
			symlink = v
		}
	}
	f = fileWithAttr(attr)
	isSymlink := false
	if a, ok := attr.Str(); ok {
		isSymlink = strings.Contains(string(a), "l")
	}
	n, ok := length.Int()
	switch {
	case n < 0:
		return File{}, nil, fmt.Errorf("the length %d is negative", n)
	case !ok && !isSymlink: // BEP 47 lets a symbolic link do without
		return File{}, nil, errors.New("the length is missing")
	}
	f.Length = n
	if f.Path = m.readPath(path, pathUTF8); len(f.Path) == 0 && !f.Pad {
		return File{}, nil, errors.New("the path is missing")
	}
	if isSymlink {
		if n > 0 {
			return File{}, nil, fmt.Errorf("a symbolic link has %d bytes, but BEP 47 says that it has none", n)
		}
		target = append([]string{}, m.readPath(symlink, bscan.Value{})...)
	}
	return f, target, nil
}

func fileWithAttr(v bscan.Value) (f File) {
	attr, _ := v.Str()
	for _, a := range attr { // BEP 47: "unknown characters should be ignored"
		switch a {
		case 'p':
			f.Pad = true
		case 'x':
			f.Executable = true
		case 'h':
			f.Hidden = true
		}
	}
	return f
}

// readPath reads a list of path components, of which the UTF-8 variant wins.
// Empty components are dropped, as "a//b" is "a/b" everywhere.
func (m *Metainfo) readPath(v, utf8Variant bscan.Value) (path []string) {
	for range utf8Variant.List() { // not if it is empty
		v = utf8Variant
		break
	}
	for component := range v.List() {
		s, _ := component.Str()
		if len(s) == 0 {
			continue
		}
		if !utf8.Valid(s) {
			m.find(FindNotUTF8, "the path component %q is not UTF-8", s)
		}
		path = append(path, string(s))
	}
	return path
}

// nameFiles sets every DiskPath, and the Symlinks.
func (m *Metainfo) nameFiles(symlinks map[int][]string) {
	in := &m.Info
	names := newNamer()
	name := orElse(in.Name, m.InfoHash.String())
	if in.Multi {
		folder := names.folder(0, name)
		for i := range in.Files {
			if f := &in.Files[i]; !f.Pad {
				f.DiskPath = names.file(folder, f.Path)
			}
		}
	} else {
		in.Files[0].DiskPath = names.file(0, []string{name})
	}
	if names.renamed > 0 {
		m.find(FindRenamed, "names are not safe or not unique on every system and were changed; the first is %q", names.firstRenamed)
		m.Findings[len(m.Findings)-1].Count = names.renamed
	}
	m.linkFiles(symlinks)
}

// linkFiles sets the Symlink of each link whose target is a file of this
// torrent that is not a link itself. Any other could lead out of the download
// folder, around in a circle or nowhere: it stays an empty file.
func (m *Metainfo) linkFiles(symlinks map[int][]string) {
	if len(symlinks) == 0 {
		return
	}
	diskPaths := make(map[string]string)
	for i, f := range m.Info.Files {
		if _, isLink := symlinks[i]; !isLink && !f.Pad {
			diskPaths[rawKey(f.Path)] = f.DiskPath
		}
	}
	for i := range m.Info.Files {
		target, isLink := symlinks[i]
		if !isLink {
			continue
		}
		f := &m.Info.Files[i]
		if f.Symlink = diskPaths[rawKey(target)]; f.Symlink == "" {
			m.find(FindSymlink, "the symbolic link %q does not lead to a file of the torrent; it becomes an empty file", f.Path)
		}
	}
}

// rawKey joins a path into one string that no other path has.
func rawKey(path []string) string { return strings.Join(path, "\x00/") }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
