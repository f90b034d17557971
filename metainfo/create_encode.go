package metainfo

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// The dictionaries of a .torrent file as they are written. The encoder sorts
// the keys. They are not used for reading: a torrent may have unsorted keys
// and wrong types in places that nobody needs, which bscan lets pass and a
// decoder into structs does not.
type (
	torrentDict struct {
		Announce     string        `bencode:"announce,omitempty"`
		AnnounceList [][]string    `bencode:"announce-list,omitempty"`
		Comment      string        `bencode:"comment,omitempty"`
		CreatedBy    string        `bencode:"created by,omitempty"`
		CreationDate int64         `bencode:"creation date,omitempty"`
		Info         bencode.Bytes `bencode:"info"`
		Nodes        [][]any       `bencode:"nodes,omitempty"`
		URLList      []string      `bencode:"url-list,omitempty"`
	}
	infoDict struct {
		Files       []fileDict `bencode:"files,omitempty"`
		Length      int64      `bencode:"length,omitempty"`
		Name        string     `bencode:"name"`
		PieceLength int64      `bencode:"piece length"`
		Pieces      []byte     `bencode:"pieces"`
		Private     int        `bencode:"private,omitempty"`
		Source      string     `bencode:"source,omitempty"`
	}
	fileDict struct {
		Length int64    `bencode:"length"`
		Path   []string `bencode:"path"`
	}
)

// Encode returns the bytes of a .torrent file for m: the original info
// dictionary, so that the info-hash stays, and the rest anew. This is how a
// download that began with a magnet link gets a .torrent file.
func (m *Metainfo) Encode() ([]byte, error) {
	d := torrentDict{
		Comment:   m.Comment,
		CreatedBy: m.CreatedBy,
		Info:      m.InfoBytes,
		URLList:   m.WebSeeds,
	}
	d.setAnnounce(m.Announce)
	if !m.CreationDate.IsZero() {
		d.CreationDate = m.CreationDate.Unix()
	}
	for _, node := range m.Nodes {
		host, port, err := splitNode(node)
		if err != nil {
			return nil, fmt.Errorf("DHT node %q: %w", node, err)
		}
		d.Nodes = append(d.Nodes, []any{host, port})
	}
	return bencode.Marshal(d)
}

// setAnnounce writes a single tracker as BEP 3 has it, and several also in
// BEP 12's tiers.
func (d *torrentDict) setAnnounce(tiers [][]string) {
	numTrackers := 0
	for _, tier := range tiers {
		if d.Announce == "" && len(tier) > 0 {
			d.Announce = tier[0]
		}
		numTrackers += len(tier)
	}
	if numTrackers > 1 {
		d.AnnounceList = tiers
	}
}

// encodeTorrent writes the torrent of src.
func encodeTorrent(src *source, geometry Geometry, pieces []byte, opt CreateOptions) ([]byte, error) {
	infoBytes, err := bencode.Marshal(newInfoDict(src, geometry, pieces, opt))
	if err != nil {
		return nil, err
	}
	m := Metainfo{
		InfoBytes: infoBytes,
		Announce:  opt.Announce,
		WebSeeds:  opt.WebSeeds,
		Nodes:     opt.Nodes,
		Comment:   opt.Comment,
		CreatedBy: orElse(opt.CreatedBy, "Shoal/"+Version),
	}
	if !opt.NoDate {
		m.CreationDate = opt.Date
		if m.CreationDate.IsZero() {
			m.CreationDate = time.Now()
		}
	}
	return m.Encode()
}

func newInfoDict(src *source, geometry Geometry, pieces []byte, opt CreateOptions) infoDict {
	d := infoDict{
		Name:        opt.Name,
		PieceLength: int64(geometry.StdPieceLen()),
		Pieces:      pieces,
		Source:      opt.Source,
	}
	if opt.Private {
		d.Private = 1
	}
	if src.folder == "" {
		d.Length = src.totalLen
		return d
	}
	for _, f := range src.files {
		d.Files = append(d.Files, fileDict{Length: f.length, Path: f.path})
	}
	return d
}

// splitNode splits the host:port of a DHT node.
func splitNode(node string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(node)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 || host == "" {
		return "", 0, errors.New("expected a host and a port from 1 to 65535, such as router.example:6881")
	}
	return host, int(n), nil
}
