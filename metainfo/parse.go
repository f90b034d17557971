package metainfo

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// MaxTorrentLen bounds a .torrent file, in bytes: 64 MiB. Two million pieces
// and 300,000 long names are two thirds of it.
const MaxTorrentLen = 64 << 20

// Bounds of the lists outside of the info dictionary. They are arbitrary, and
// far above what makes sense; what is more is dropped with a finding.
const (
	maxTrackers = 500
	maxWebSeeds = 500
	maxNodes    = 500
)

// ErrV2Only says that a torrent or a magnet link is for BEP 52's version 2
// alone.
var ErrV2Only = errors.New("this is a BitTorrent v2 torrent, which Shoal does not support yet: ask for a v1 or hybrid one")

// Metainfo is what a .torrent file says.
type Metainfo struct {
	InfoHash InfoHash
	Info     Info
	// InfoBytes is the info dictionary exactly as it stood in the file:
	// the InfoHash is its SHA-1, and peers with a magnet link are sent it
	// (BEP 9).
	InfoBytes []byte
	// Announce are the trackers in tiers (BEP 12).
	Announce [][]string
	// WebSeeds are the URLs of BEP 19.
	WebSeeds []string
	// Nodes are DHT nodes as host:port (BEP 5).
	Nodes []string
	// Comment, CreatedBy and CreationDate are informative; the date is zero
	// if there is none or an absurd one.
	Comment, CreatedBy string
	CreationDate       time.Time
	// Findings are the oddities of the torrent, in the order in which they
	// were found.
	Findings []Finding
}

// Load reads the .torrent file at path.
func Load(path string) (*Metainfo, error) {
	f, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Never by the size the file system claims: /dev/zero claims none.
	b, err := io.ReadAll(io.LimitReader(f, MaxTorrentLen+1))
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	m, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("torrent %s: %w", Printable(path), err)
	}
	return m, nil
}

// openInput opens a file to read. Not to block means that a named pipe that
// nobody writes to is empty, where it would otherwise hold up the program
// forever; regular files and "<(command)" of a shell are read as ever.
func openInput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if stat, err := f.Stat(); err == nil && stat.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s is a folder: name a .torrent file", Printable(path))
	}
	return f, nil
}

// Parse reads the bytes of a .torrent file. The Metainfo keeps b, which must
// not change afterwards. The error says what is wrong, and wraps ErrV2Only for
// a torrent of BEP 52 alone; what is odd but usable is in Findings.
func Parse(b []byte) (*Metainfo, error) {
	root, err := scanTorrent(b)
	if err != nil {
		return nil, err
	}
	m := new(Metainfo)
	report := root.report
	if report.Trailing > 0 {
		m.find(FindTrailingBytes, "%d bytes follow the torrent; they are ignored", report.Trailing)
	}
	if report.Unsorted {
		m.find(FindUnsortedKeys, "dictionary keys are not sorted; the info-hash is of the original bytes")
	}
	if report.Duplicate {
		m.find(FindDuplicateKeys, "a dictionary key occurs twice; the first one counts")
	}
	outer := m.readRoot(root.Value)
	if outer.info.Kind() != bscan.Dict {
		return nil, errors.New("no info dictionary: this is bencode, but not a torrent")
	}
	if err := m.readInfo(outer.info.Bytes()); err != nil {
		return nil, err
	}
	m.readAnnounce(outer.announce, outer.announceList)
	m.readNodes(outer.nodes)
	return m, nil
}

// ParseInfo reads a bare info dictionary, as peers send it for a magnet link
// (BEP 9). The Metainfo has nothing but what the dictionary says. The caller
// compares its InfoHash with the one that it wanted. b must not change
// afterwards.
func ParseInfo(b []byte) (*Metainfo, error) {
	m := new(Metainfo)
	if err := m.readInfo(b); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Metainfo) find(code FindingCode, format string, args ...any) {
	(*findings)(&m.Findings).add(code, format, args...)
}

func (m *Metainfo) has(code FindingCode) bool {
	return slices.ContainsFunc(m.Findings, func(f Finding) bool { return f.Code == code })
}

type scanned struct {
	bscan.Value
	report bscan.Report
}

// scanTorrent validates b and words the error for someone who gave the wrong
// file.
func scanTorrent(b []byte) (scanned, error) {
	switch {
	case len(b) > MaxTorrentLen:
		return scanned{}, fmt.Errorf("larger than %d MiB: this is not a torrent but perhaps the data of one", MaxTorrentLen>>20)
	case len(b) == 0:
		return scanned{}, errors.New("the file is empty: get the torrent again")
	case b[0] != 'd':
		return scanned{}, errors.New("not a torrent: a torrent is a bencoded dictionary and starts with the letter d")
	}
	v, report, err := bscan.Scan(b, bscan.Limits{})
	if errors.Is(err, bscan.ErrTruncated) || errors.Is(err, bscan.ErrLength) {
		return scanned{}, fmt.Errorf("cut off or damaged at byte %d: %w; get the torrent again", report.Offset, err)
	}
	if err != nil {
		return scanned{}, fmt.Errorf("damaged at byte %d: %w; get the torrent again", report.Offset, err)
	}
	return scanned{v, report}, nil
}

// outerValues are the values of the root dictionary that are read after the
// info dictionary, because what they mean depends on others.
type outerValues struct {
	info, announce, announceList, nodes bscan.Value
}

// readRoot reads the root dictionary in one walk. The first of a key that
// occurs twice counts, as Value.Get has it.
func (m *Metainfo) readRoot(root bscan.Value) (outer outerValues) {
	fields := map[string]*bscan.Value{
		"info": &outer.info, "announce": &outer.announce, "announce-list": &outer.announceList, "nodes": &outer.nodes,
	}
	var webSeeds, comment, commentUTF8, createdBy, createdByUTF8, date bscan.Value
	fields["url-list"], fields["creation date"] = &webSeeds, &date
	fields["comment"], fields["comment.utf-8"] = &comment, &commentUTF8
	fields["created by"], fields["created by.utf-8"] = &createdBy, &createdByUTF8
	assignFirst(root, fields)
	m.Comment = m.text("comment", comment, commentUTF8)
	m.CreatedBy = m.text("created by", createdBy, createdByUTF8)
	m.readWebSeeds(webSeeds)
	m.readDate(date)
	return outer
}

// assignFirst walks over dict once and sets each field to the first value
// under its key.
func assignFirst(dict bscan.Value, fields map[string]*bscan.Value) {
	for key, v := range dict.Dict() {
		if field := fields[string(key)]; field != nil && field.Kind() == bscan.None {
			*field = v
		}
	}
}

// text reads a string that is only shown. The variant "key.utf-8" wins, as
// old clients wrote key in the code page of their system.
func (m *Metainfo) text(key string, v, utf8Variant bscan.Value) string {
	s, ok := utf8Variant.Str()
	if !ok {
		s, ok = v.Str()
	}
	if !ok && v.Kind() != bscan.None {
		m.find(FindWrongType, "%q is not a string; it is ignored", key)
	}
	return string(s)
}

func (m *Metainfo) readDate(v bscan.Value) {
	if v.Kind() == bscan.None {
		return
	}
	seconds, ok := v.Int()
	// BitTorrent was published in 2001; the far end is that of 32 bits.
	const first, last = 978307200, math.MaxUint32
	switch {
	case !ok:
		m.find(FindWrongType, "\"creation date\" is not an integer; it is ignored")
	case seconds < first || seconds > last:
		m.find(FindDate, "creation date %d is absurd; it is ignored", seconds)
	default:
		m.CreationDate = time.Unix(seconds, 0).UTC()
	}
}

// readAnnounce sets the tiers. BEP 12: "If the client is compatible with the
// multitracker specification, and if the "announce-list" key is present, the
// client will ignore the "announce" key and only use the URLs in
// "announce-list". It is not ignored if the list turns
// out to be empty.
func (m *Metainfo) readAnnounce(announce, list bscan.Value) {
	left := maxTrackers
	for tier := range list.List() {
		if tier.Kind() == bscan.String {
			m.find(FindAnnounce, "announce-list has a tracker outside of a tier; it is taken as a tier")
			m.addTier(&left, func(yield func(bscan.Value) bool) { yield(tier) })
			continue
		}
		m.addTier(&left, tier.List())
	}
	if len(m.Announce) == 0 && announce.Kind() != bscan.None {
		m.addTier(&left, func(yield func(bscan.Value) bool) { yield(announce) })
	}
}

func (m *Metainfo) addTier(left *int, urls func(yield func(bscan.Value) bool)) {
	var tier []string
	for v := range urls {
		s, ok := v.Str()
		url := strings.TrimSpace(string(s))
		switch {
		case !ok || url == "":
			m.find(FindAnnounce, "a tracker's URL is empty or not a string; it is ignored")
		case *left == 0:
			m.find(FindTooMany, "more than %d trackers; the rest is ignored", maxTrackers)
		default:
			*left--
			tier = append(tier, url)
		}
	}
	if len(tier) > 0 {
		m.Announce = append(m.Announce, tier)
	}
}

// readWebSeeds reads BEP 19's url-list, which "will refer to a one or more
// URLs": a string or a list of them.
func (m *Metainfo) readWebSeeds(v bscan.Value) {
	if url, ok := v.Str(); ok {
		if len(url) > 0 { // some programs write an empty one for none
			m.WebSeeds = []string{string(url)}
		}
		return
	}
	if v.Kind() != bscan.None && v.Kind() != bscan.List {
		m.find(FindWrongType, "\"url-list\" is neither a string nor a list; it is ignored")
	}
	for element := range v.List() {
		url, ok := element.Str()
		switch {
		case !ok || len(url) == 0:
			m.find(FindWrongType, "\"url-list\" has an entry that is not a URL; it is ignored")
		case len(m.WebSeeds) == maxWebSeeds:
			m.find(FindTooMany, "more than %d web seeds; the rest is ignored", maxWebSeeds)
			return
		default:
			m.WebSeeds = append(m.WebSeeds, string(url))
		}
	}
}

// readNodes reads BEP 5's [["<host>", <port>], ...].
func (m *Metainfo) readNodes(v bscan.Value) {
	for element := range v.List() {
		node, ok := parseNode(element)
		switch {
		case !ok:
			m.find(FindNodes, "a DHT node is not a host and a port; it is ignored")
		case len(m.Nodes) == maxNodes:
			m.find(FindTooMany, "more than %d DHT nodes; the rest is ignored", maxNodes)
			return
		default:
			m.Nodes = append(m.Nodes, node)
		}
	}
	if m.Info.Private && len(m.Nodes) > 0 {
		m.find(FindPrivateAndNodes, "a private torrent has DHT nodes; BEP 27 forbids to use them")
	}
}

func parseNode(v bscan.Value) (hostPort string, ok bool) {
	var fields []bscan.Value
	for field := range v.List() {
		if fields = append(fields, field); len(fields) > 2 {
			return "", false
		}
	}
	if len(fields) != 2 {
		return "", false
	}
	host, isString := fields[0].Str()
	port, isInt := fields[1].Int()
	if !isString || !isInt || len(host) == 0 || port < 1 || port > math.MaxUint16 {
		return "", false
	}
	hostPort = net.JoinHostPort(string(host), strconv.FormatInt(port, 10))
	_, _, err := splitNode(hostPort) // "]" is a host that cannot be joined so that it splits again
	return hostPort, err == nil
}

// hashInfo names an info dictionary by its original bytes.
func hashInfo(infoBytes []byte) InfoHash { return sha1.Sum(infoBytes) }
