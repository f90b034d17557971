package krpc

import "github.com/shoal-bt/shoal/metainfo/bscan"

// AppendTorrentValue appends the value of a mutable item that names a torrent,
// 30 bytes. BEP 46: "a dictionary with key ih (info hash) and value the 20 byte
// infohash of such torrent".
func AppendTorrentValue(b []byte, infoHash ID) []byte {
	return append(appendID(append(b, 'd'), "2:ih", infoHash), 'e')
}

// ParseTorrentValue returns the info-hash that the value of a mutable item
// names (BEP 46), and false if it names none. The value is a stranger's;
// other keys beside ih are ignored.
func ParseTorrentValue(value []byte) (infoHash ID, ok bool) {
	v, err := bscan.Strict(value, bscan.Limits{Tokens: maxTokens})
	if err != nil || v.Kind() != bscan.Dict {
		return ID{}, false
	}
	if !parseID(v.Get("ih"), &infoHash) {
		return ID{}, false
	}
	return infoHash, true
}
