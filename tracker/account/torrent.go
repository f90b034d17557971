package account

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// Own is a torrent as this tracker keeps it.
type Own struct {
	*metainfo.Metainfo
	// File are the bytes of its .torrent file, without any tracker: each
	// user's announce URL is written in when he downloads it, by WithKey.
	File []byte
	// From is the info-hash that the torrent came with. If it is another one,
	// clients take the two for different torrents, and who seeds must take
	// this file.
	From metainfo.InfoHash
	// Changes are sentences for whoever added it.
	Changes []string
}

// maxNameLen bounds the name of a torrent, in bytes: it stands in every list,
// and a name as long as a .torrent file can be would make lists that nobody can
// load. File systems take 255 characters, of up to four bytes.
const maxNameLen = 1024

// MakeOwn makes a torrent this tracker's own. The info dictionary becomes
// private (BEP 27) and gets the source, if that is not empty: torrents of
// several trackers then differ in their info-hash, as they must, because a
// client that finds one torrent on two of them reports the same bytes to both.
// Foreign trackers and DHT nodes are taken out, for whoever got the file
// would tell them of its swarm. All else stays as it is.
func MakeOwn(file []byte, source string) (*Own, error) {
	m, err := metainfo.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("torrent: %w", err)
	}
	if !utf8.ValidString(source) {
		return nil, errors.New("the source is not UTF-8")
	}
	if len(m.Info.Name) > maxNameLen {
		return nil, fmt.Errorf("torrent: its name has %d bytes, more than %d; give it a shorter one", len(m.Info.Name), maxNameLen)
	}
	own := &Own{From: m.InfoHash}
	own.strip(m)
	dict, err := bscan.Strict(m.InfoBytes, bscan.Limits{})
	if err != nil {
		return nil, fmt.Errorf("torrent: its info dictionary cannot be changed: %w; make the torrent again", err)
	}
	m.InfoBytes = own.changeInfo(dict, m.InfoBytes, source)
	if own.File, err = m.Encode(); err != nil {
		return nil, fmt.Errorf("torrent: %w", err)
	}
	if own.Metainfo, err = metainfo.Parse(own.File); err != nil {
		return nil, fmt.Errorf("torrent: it could not be changed: %w", err)
	}
	if own.InfoHash != own.From {
		own.say("The info-hash changed from %s to %s: seeds need the file from this tracker.", own.From, own.InfoHash)
	}
	return own, nil
}

func (own *Own) say(format string, args ...any) {
	own.Changes = append(own.Changes, fmt.Sprintf(format, args...))
}

// strip takes out what leads elsewhere.
func (own *Own) strip(m *metainfo.Metainfo) {
	if n := len(slices.Concat(m.Announce...)); n > 0 {
		own.say("%d announce URLs of other trackers were taken out.", n)
	}
	if n := len(m.Nodes); n > 0 {
		own.say("%d DHT nodes were taken out.", n)
	}
	m.Announce, m.Nodes = nil, nil
}

// changeInfo returns an info dictionary that is private and has the source.
func (own *Own) changeInfo(dict bscan.Value, original []byte, source string) []byte {
	values := make(map[string][]byte)
	for key, v := range dict.Dict() {
		values[string(key)] = v.Bytes()
	}
	if n, _ := dict.Get("private").Int(); n != 1 {
		own.say("It was made private.")
		values["private"] = []byte("i1e")
	}
	if had, _ := dict.Get("source").Str(); source != "" && string(had) != source {
		own.say("Its source was set to %q.", source)
		values["source"] = bencodeString(source)
	}
	b := make([]byte, 0, len(original)+len(source)+64)
	b = append(b, 'd')
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b = append(append(b, bencodeString(key)...), values[key]...)
	}
	return append(b, 'e')
}

func bencodeString(s string) []byte { return []byte(strconv.Itoa(len(s)) + ":" + s) }

// NewTorrent is what AddTorrent needs of own.
func (own *Own) NewTorrent(now time.Time) Torrent {
	return Torrent{InfoHash: own.InfoHash, Name: own.Info.Name, Len: own.Info.Geometry.TotalLen(), AddedAt: now}
}

// WithKey writes a user's announce URL into a file that MakeOwn made.
func WithKey(file []byte, base *url.URL, key Key) ([]byte, error) {
	m, err := metainfo.Parse(bytes.Clone(file))
	if err != nil {
		return nil, fmt.Errorf("torrent: %w", err)
	}
	m.Announce = [][]string{{AnnounceURL(base, key)}}
	return m.Encode()
}

// ParseBase reads the address under which users reach the tracker, such as
// https://tracker.example:6969.
func ParseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !isPort(u.Port()) {
		return nil, fmt.Errorf("%q is not a tracker's address; write it as https://tracker.example or http://tracker.example:6969", s)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// isPort reports whether the port of a URL is one. There may be none.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

// AnnounceURL is where a user announces.
func AnnounceURL(base *url.URL, key Key) string {
	return base.JoinPath(key.Reveal(), "announce").String()
}
