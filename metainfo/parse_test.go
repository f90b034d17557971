package metainfo

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// dict is a bencoded dictionary, written with sorted keys.
type dict map[string]any

// with returns a copy of d with the keys of other instead of or beside its
// own; a nil value takes a key away.
func (d dict) with(other dict) dict {
	d = maps.Clone(d)
	maps.Copy(d, other)
	maps.DeleteFunc(d, func(_ string, v any) bool { return v == nil })
	return d
}

func (d dict) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := bencode.Marshal(map[string]any(d))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A torrent of one file with 40,000 bytes in three pieces, and one of three
// files with as many.
var (
	singleInfo = dict{"name": "song.ogg", "piece length": 16384, "pieces": strings.Repeat("h", 60), "length": 40000}
	multiInfo  = dict{"name": "album", "piece length": 16384, "pieces": strings.Repeat("h", 60), "files": []dict{
		{"length": 20000, "path": []string{"cd1", "a.ogg"}},
		{"length": 0, "path": []string{"empty"}},
		{"length": 20000, "path": []string{"cd1", "b.ogg"}},
	}}
)

func fileList(entries ...dict) dict {
	return multiInfo.with(dict{"files": entries})
}

// entry is an entry of a file list, of 40,000 bytes in all if it is alone.
func entry(length int, path ...string) dict { return dict{"length": length, "path": path} }

func parse(t testing.TB, d dict) *Metainfo {
	t.Helper()
	m, err := Parse(d.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func codes(m *Metainfo) (codes []FindingCode) {
	for _, f := range m.Findings {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return codes
}

func diskPaths(m *Metainfo) (paths []string) {
	for _, f := range m.Info.Files {
		paths = append(paths, f.DiskPath)
	}
	return paths
}

func TestParseSingleFile(t *testing.T) {
	m := parse(t, dict{
		"announce": "http://t.example/a", "comment": "hello", "created by": "me", "creation date": 1500000000,
		"info": singleInfo.with(dict{"source": "ABC", "private": 1, "attr": "x"}),
	})
	info := singleInfo.with(dict{"source": "ABC", "private": 1, "attr": "x"}).bytes(t)
	if m.InfoHash != sha1.Sum(info) || !bytes.Equal(m.InfoBytes, info) {
		t.Errorf("info-hash %v of %q", m.InfoHash, m.InfoBytes)
	}
	in := m.Info
	if in.Name != "song.ogg" || in.Source != "ABC" || !in.Private || in.Multi || in.MetaVersion != 1 {
		t.Errorf("info %+v", in)
	}
	if in.Geometry.NumPieces() != 3 || in.Geometry.TotalLen() != 40000 || in.PieceHash(2) != [20]byte([]byte(strings.Repeat("h", 20))) {
		t.Errorf("geometry %+v", in.Geometry)
	}
	f := in.Files[0]
	if len(in.Files) != 1 || f.DiskPath != "song.ogg" || f.Length != 40000 || !f.Executable || f.Hidden {
		t.Errorf("files %+v", in.Files)
	}
	if m.Comment != "hello" || m.CreatedBy != "me" || !m.CreationDate.Equal(time.Unix(1500000000, 0)) || len(m.Findings) != 0 {
		t.Errorf("outer %+v", m)
	}
}

func TestParseFolder(t *testing.T) {
	m := parse(t, dict{"info": multiInfo})
	if got := diskPaths(m); !slices.Equal(got, []string{"album/cd1/a.ogg", "album/empty", "album/cd1/b.ogg"}) {
		t.Errorf("paths %q", got)
	}
	if !m.Info.Multi || m.Info.Files[2].Offset != 20000 || len(m.Findings) != 0 {
		t.Errorf("%+v", m)
	}
	if raw, ok := m.Info.RawPath(2); raw != "album/cd1/b.ogg" || !ok {
		t.Errorf("raw path %q, %v", raw, ok)
	}
}

func TestParseRefuses(t *testing.T) {
	info := func(d dict) []byte { return dict{"info": d}.bytes(t) }
	whole := info(singleInfo)
	for name, test := range map[string]struct {
		in   []byte
		want string // in the error
	}{
		"nothing":              {nil, "empty"},
		"a web page":           {[]byte("<html>"), "not a torrent"},
		"truncated":            {whole[:len(whole)-10], "cut off"},
		"truncated in a key":   {whole[:3], "cut off"},
		"deep nesting":         {[]byte("d1:a" + strings.Repeat("l", 1000)), "nested"},
		"claimed length":       {[]byte("d4:info2000000000:"), "longer than what is left"},
		"no info":              {[]byte("d1:a1:be"), "no info dictionary"},
		"info is a list":       {[]byte("d4:infolee"), "no info dictionary"},
		"duplicate in info":    {[]byte("d4:infod6:lengthi1e6:lengthi2e4:name1:aee"), "same key twice"},
		"duplicate, far apart": {[]byte("d4:infod4:name1:a6:lengthi1e4:name1:bee"), "same key twice"},
		"no piece length":      {info(singleInfo.with(dict{"piece length": nil})), "piece length is missing"},
		"piece length 0":       {info(singleInfo.with(dict{"piece length": 0})), "piece length 0"},
		"piece length -1":      {info(singleInfo.with(dict{"piece length": -1})), "piece length -1"},
		"piece length 2^31":    {info(singleInfo.with(dict{"piece length": 1 << 31})), "piece length"},
		"piece length string":  {info(singleInfo.with(dict{"piece length": "16384"})), "piece length is missing"},
		"no pieces":            {info(singleInfo.with(dict{"pieces": nil})), "piece hashes are missing"},
		"pieces % 20":          {info(singleInfo.with(dict{"pieces": strings.Repeat("h", 61)})), "multiple of 20"},
		"too few pieces":       {info(singleInfo.with(dict{"pieces": strings.Repeat("h", 40)})), "2 piece hashes for 3"},
		"too many pieces":      {info(singleInfo.with(dict{"length": 1 << 62})), "more than"},
		"negative length":      {info(singleInfo.with(dict{"length": -1})), "negative"},
		"no length":            {info(singleInfo.with(dict{"length": nil})), "neither a length nor"},
		"length is a string":   {info(singleInfo.with(dict{"length": "1"})), "neither a length nor"},
		"no bytes":             {info(singleInfo.with(dict{"length": 0, "pieces": ""})), "empty"},
		"meta version 3":       {info(singleInfo.with(dict{"meta version": 3, "pieces": nil})), "newer than this Shoal"},
		"no files":             {info(fileList()), "list of files is empty"},
		"file is no dict":      {info(multiInfo.with(dict{"files": []string{"x"}})), "file 0: the length is missing"},
		"file length -1":       {info(fileList(entry(40000, "a"), entry(-1, "b"))), "file 1: the length -1 is negative"},
		"file without length":  {info(fileList(dict{"path": []string{"a"}})), "length is missing"},
		"file without path":    {info(fileList(dict{"length": 40000})), "path is missing"},
		"file of empty path":   {info(fileList(entry(40000, "", ""))), "path is missing"},
		"total past int64":     {info(fileList(entry(1<<62, "a"), entry(1<<62, "b"))), "does not fit"},
		"symlink with bytes":   {info(fileList(entry(40000, "a").with(dict{"attr": "l"}))), "symbolic link has"},
	} {
		m, err := Parse(test.in)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
		if m != nil {
			t.Errorf("%s: a torrent came with the error", name)
		}
	}
}

func TestFindings(t *testing.T) {
	for name, test := range map[string]struct {
		torrent dict
		want    FindingCode
	}{
		"odd piece length":    {dict{"info": singleInfo.with(dict{"piece length": 15000})}, FindPieceLength},
		"tiny piece length":   {dict{"info": singleInfo.with(dict{"length": 40, "piece length": 16})}, FindPieceLength},
		"length and files":    {dict{"info": multiInfo.with(dict{"length": 40000})}, FindLengthAndFiles},
		"name not UTF-8":      {dict{"info": multiInfo.with(dict{"name": "caf\xe9"})}, FindNotUTF8},
		"path not UTF-8":      {dict{"info": fileList(entry(40000, "caf\xe9"))}, FindNotUTF8},
		"renamed":             {dict{"info": fileList(entry(40000, "..", "x"))}, FindRenamed},
		"unknown version":     {dict{"info": singleInfo.with(dict{"meta version": 3})}, FindMetaVersion},
		"hybrid":              {dict{"info": singleInfo.with(dict{"meta version": 2, "file tree": dict{}})}, FindHybrid},
		"negative date":       {dict{"info": singleInfo, "creation date": -5}, FindDate},
		"date in ms":          {dict{"info": singleInfo, "creation date": 1500000000000}, FindDate},
		"date is a string":    {dict{"info": singleInfo, "creation date": "today"}, FindWrongType},
		"comment is a number": {dict{"info": singleInfo, "comment": 7}, FindWrongType},
		"empty announce":      {dict{"info": singleInfo, "announce": " "}, FindAnnounce},
		"announce is a list":  {dict{"info": singleInfo, "announce": []string{"http://t"}}, FindAnnounce},
		"flat announce-list":  {dict{"info": singleInfo, "announce-list": []string{"http://t"}}, FindAnnounce},
		"web seed number":     {dict{"info": singleInfo, "url-list": []int{5}}, FindWrongType},
		"web seeds number":    {dict{"info": singleInfo, "url-list": 5}, FindWrongType},
		"node of three":       {dict{"info": singleInfo, "nodes": [][]any{{"h", 1, 2}}}, FindNodes},
		"node port 0":         {dict{"info": singleInfo, "nodes": [][]any{{"h", 0}}}, FindNodes},
		"private nodes":       {dict{"info": singleInfo.with(dict{"private": 1}), "nodes": [][]any{{"h", 1}}}, FindPrivateAndNodes},
		"wild symlink":        {dict{"info": fileList(entry(40000, "a"), dict{"path": []string{"l"}, "attr": "l", "symlink path": []string{"..", "a"}})}, FindSymlink},
	} {
		m := parse(t, test.torrent)
		if !slices.Contains(codes(m), test.want) {
			t.Errorf("%s: findings %v, want %s", name, m.Findings, test.want)
		}
		for _, f := range m.Findings {
			if f.Message == "" || f.Count < 1 || Printable(f.Message) != f.Message {
				t.Errorf("%s: finding %+v", name, f)
			}
		}
	}
}

func TestTrailingBytesAndDuplicateOutside(t *testing.T) {
	info := string(singleInfo.bytes(t))
	m, err := Parse([]byte("d7:comment1:a7:comment1:b4:info" + info + "e\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []FindingCode{FindDuplicateKeys, FindTrailingBytes}; !slices.Equal(codes(m), want) || m.Comment != "a" {
		t.Errorf("findings %v, comment %q", m.Findings, m.Comment)
	}
}

// The info-hash of an unsorted dictionary is of the bytes as they are: a
// re-encoding would name another torrent.
func TestInfoHashIsOfOriginalBytes(t *testing.T) {
	info := "d4:name1:a6:lengthi5e6:pieces20:" + strings.Repeat("h", 20) + "12:piece lengthi16384e1:xd1:b0:1:a0:ee"
	m, err := Parse([]byte("d4:info" + info + "e"))
	if err != nil {
		t.Fatal(err)
	}
	if m.InfoHash != sha1.Sum([]byte(info)) || !slices.Equal(codes(m), []FindingCode{FindUnsortedKeys}) {
		t.Errorf("info-hash %v, findings %v", m.InfoHash, m.Findings)
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(encoded); err != nil || again.InfoHash != m.InfoHash {
		t.Errorf("encoded, the torrent has info-hash %v, %v", again.InfoHash, err)
	}
}

func TestV2OnlyIsRefusedByName(t *testing.T) {
	tree := dict{"a": dict{"": dict{"length": 1, "pieces root": strings.Repeat("r", 32)}}}
	for _, info := range []dict{
		{"meta version": 2, "file tree": tree, "name": "a", "piece length": 16384},
		{"file tree": tree, "name": "a", "piece length": 16384},
	} {
		if _, err := Parse(dict{"info": info}.bytes(t)); !errors.Is(err, ErrV2Only) {
			t.Errorf("Parse = %v", err)
		}
		if _, err := ParseInfo(info.bytes(t)); !errors.Is(err, ErrV2Only) {
			t.Errorf("ParseInfo = %v", err)
		}
	}
}

func TestParseInfo(t *testing.T) {
	b := multiInfo.bytes(t)
	m, err := ParseInfo(b)
	if err != nil || m.InfoHash != sha1.Sum(b) || len(m.Info.Files) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, bad := range [][]byte{nil, []byte("le"), append(b, 'x'), b[:len(b)-1], []byte("de")} {
		if m, err := ParseInfo(bad); err == nil || m != nil {
			t.Errorf("ParseInfo(%.20q) gave %v, %v", bad, m, err)
		}
	}
}

func TestUTF8VariantsWin(t *testing.T) {
	m := parse(t, dict{"comment": "old", "comment.utf-8": "neu é", "info": multiInfo.with(dict{
		"name": "caf\xe9", "name.utf-8": "café",
		"files": []dict{entry(40000, "x\xe9").with(dict{"path.utf-8": []string{"xé"}})},
	})})
	if got := diskPaths(m); got[0] != "café/xé" || m.Comment != "neu é" || len(m.Findings) != 0 {
		t.Errorf("%q, %q, %v", got, m.Comment, m.Findings)
	}
}

func TestEmptyNameIsInfoHash(t *testing.T) {
	m := parse(t, dict{"info": singleInfo.with(dict{"name": nil})})
	if got := diskPaths(m)[0]; got != m.InfoHash.String() {
		t.Errorf("disk path %q", got)
	}
	m = parse(t, dict{"info": multiInfo.with(dict{"name": ""})})
	if got := diskPaths(m)[1]; got != m.InfoHash.String()+"/empty" {
		t.Errorf("disk path %q", got)
	}
}

func TestTrackersWebSeedsNodes(t *testing.T) {
	m := parse(t, dict{
		"announce": "http://ignored", "announce-list": [][]string{{"http://a", "udp://b"}, {""}, {"http://c"}},
		"url-list": "http://w/", "nodes": [][]any{{"h.example", 6881}, {"::1", 2}}, "info": singleInfo,
	})
	if fmt.Sprint(m.Announce) != "[[http://a udp://b] [http://c]]" {
		t.Errorf("tiers %v", m.Announce)
	}
	if !slices.Equal(m.WebSeeds, []string{"http://w/"}) || !slices.Equal(m.Nodes, []string{"h.example:6881", "[::1]:2"}) {
		t.Errorf("web seeds %v, nodes %v", m.WebSeeds, m.Nodes)
	}
	m = parse(t, dict{"announce": "http://a", "announce-list": [][]string{{}}, "url-list": []string{"http://v", "http://w"}, "info": singleInfo})
	if fmt.Sprint(m.Announce) != "[[http://a]]" || len(m.WebSeeds) != 2 {
		t.Errorf("tiers %v, web seeds %v", m.Announce, m.WebSeeds)
	}
	many := slices.Repeat([]string{"http://x"}, 2000)
	m = parse(t, dict{"announce-list": [][]string{many}, "url-list": many, "info": singleInfo})
	if len(m.Announce[0]) != maxTrackers || len(m.WebSeeds) != maxWebSeeds || !slices.Equal(codes(m), []FindingCode{FindTooMany}) {
		t.Errorf("%d trackers, %d web seeds, findings %v", len(m.Announce[0]), len(m.WebSeeds), m.Findings)
	}
}

// BEP 47.
func TestPadFilesAndLinks(t *testing.T) {
	link := func(name string, target ...string) dict {
		return dict{"path": []string{name}, "attr": "l", "symlink path": target}
	}
	m := parse(t, dict{"info": fileList(
		entry(10000, "bin", "run").with(dict{"attr": "hxq"}),
		dict{"length": 6384, "attr": "p"},
		entry(23616, "b"),
		link("good", "bin", "run"), link("up", "..", "b"), link("dangling", "c"), link("chain", "good"), link("self", "self"), link("none"),
		entry(0, ".pad", "6384").with(dict{"attr": "p"}),
	)})
	files := m.Info.Files
	if f := files[0]; !f.Executable || !f.Hidden || f.Pad || f.DiskPath != "album/bin/run" {
		t.Errorf("file 0: %+v", f)
	}
	if f := files[1]; !f.Pad || f.DiskPath != "" || f.Length != 6384 {
		t.Errorf("pad file: %+v", f)
	}
	if files[2].Offset != 16384 {
		t.Errorf("file 2 begins at %d", files[2].Offset)
	}
	for i, want := range []string{"album/bin/run", "", "", "", "", ""} {
		if f := files[3+i]; f.Symlink != want || f.Length != 0 {
			t.Errorf("link %v: %q, want %q", f.Path, f.Symlink, want)
		}
	}
	if len(m.Findings) != 1 || m.Findings[0].Code != FindSymlink || m.Findings[0].Count != 5 {
		t.Errorf("findings %+v", m.Findings)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.torrent")
	if err := os.WriteFile(good, dict{"info": singleInfo}.bytes(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := Load(good); err != nil || m.Info.Name != "song.ogg" {
		t.Errorf("Load = %v, %v", m, err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte("d"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxTorrentLen+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("Load of a large file = %v", err)
	}
	if _, err := Load(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of nothing = %v", err)
	}
}

// Limits that are too tight broke real torrents in other clients.
func TestLargestKnownTorrents(t *testing.T) {
	const pieces = 2_097_152
	m := parse(t, dict{"info": singleInfo.with(dict{"length": pieces << 14, "pieces": strings.Repeat("h", pieces*20)})})
	if m.Info.Geometry.NumPieces() != pieces {
		t.Errorf("%d pieces", m.Info.Geometry.NumPieces())
	}
	const pieceLen = 32767 << 14
	m = parse(t, dict{"info": singleInfo.with(dict{"length": 3 * pieceLen, "piece length": pieceLen})})
	if m.Info.Geometry.StdPieceLen() != pieceLen {
		t.Errorf("piece length %d", m.Info.Geometry.StdPieceLen())
	}
	m, err := Parse(manyFiles(300_000))
	if err != nil || len(m.Info.Files) != 300_000 || len(m.Findings) != 0 {
		t.Errorf("many files: %v", err)
	}
}

// manyFiles is a torrent of n files of a byte in folders of a thousand.
func manyFiles(n int) []byte {
	var b bytes.Buffer
	b.WriteString("d4:infod5:filesl")
	for i := range n {
		fmt.Fprintf(&b, "d6:lengthi1e4:pathl5:d%04d12:file%04d.datee", i/1000, i%1000)
	}
	numPieces := (n + 1<<14 - 1) >> 14
	fmt.Fprintf(&b, "e4:name4:many12:piece lengthi16384e6:pieces%d:%see", numPieces*20, strings.Repeat("h", numPieces*20))
	return b.Bytes()
}

func BenchmarkParse300000Files(b *testing.B) {
	torrent := manyFiles(300_000)
	b.SetBytes(int64(len(torrent)))
	for b.Loop() {
		if _, err := Parse(torrent); err != nil {
			b.Fatal(err)
		}
	}
}

func addTorrents(f *testing.F) {
	for _, d := range []dict{singleInfo, multiInfo,
		singleInfo.with(dict{"meta version": 2, "file tree": dict{}}),
		fileList(entry(40000, "a").with(dict{"attr": "xh"}), dict{"path": []string{"l"}, "attr": "l", "symlink path": []string{"a"}}),
		fileList(entry(40000, "..", "con", "a\x00"), entry(0, "A"), entry(0, "a"), entry(0, "a", "b")),
	} {
		f.Add(d.bytes(f))
		f.Add(dict{"info": d, "announce": "http://a", "announce-list": [][]string{{"b"}}, "nodes": [][]any{{"h", 1}}, "url-list": "u", "creation date": 1500000000}.bytes(f))
	}
	f.Add([]byte("d4:infod4:name1:a6:lengthi5e6:pieces20:hhhhhhhhhhhhhhhhhhhh12:piece lengthi16384eee"))
}

// FuzzParse holds every torrent that parses to the promises of its fields.
func FuzzParse(f *testing.F) {
	addTorrents(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		original := bytes.Clone(b)
		m, err := Parse(b)
		if err != nil {
			return
		}
		checkPromises(t, m)
		encoded, err := m.Encode()
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again, err := Parse(encoded)
		if err != nil || again.InfoHash != m.InfoHash {
			t.Fatalf("encoded, it is %v, %v", again, err)
		}
		if link, err := ParseMagnet(m.Magnet().String()); err != nil || link.InfoHash != m.InfoHash {
			t.Fatalf("its magnet link is %v, %v", link, err)
		}
		if !bytes.Equal(b, original) {
			t.Fatal("the input was changed")
		}
	})
}

// FuzzParseInfo does so for a bare info dictionary.
func FuzzParseInfo(f *testing.F) {
	addTorrents(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseInfo(b)
		if err != nil {
			return
		}
		if m.InfoHash != sha1.Sum(b) {
			t.Fatal("the info-hash is not of the bytes given")
		}
		checkPromises(t, m)
	})
}

func checkPromises(t *testing.T, m *Metainfo) {
	t.Helper()
	in := &m.Info
	if len(in.Files) == 0 || len(in.pieces) != 20*in.Geometry.NumPieces() || in.Geometry.NumPieces() == 0 {
		t.Fatalf("%d files, %d bytes of hashes, geometry %+v", len(in.Files), len(in.pieces), in.Geometry)
	}
	checkDiskPaths(t, diskPaths(m))
	offset := int64(0)
	for i, f := range in.Files {
		if f.Offset != offset || f.Length < 0 || f.Pad != (f.DiskPath == "") {
			t.Fatalf("file %d: %+v", i, f)
		}
		offset += f.Length
	}
	if offset != in.Geometry.TotalLen() {
		t.Fatalf("files of %d bytes in a torrent of %d", offset, in.Geometry.TotalLen())
	}
}
