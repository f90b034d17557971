package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// parseWebSeed reads a URL of BEP 19's url-list. "A client should ignore any
// protocols it does not know from the url-list."
func parseWebSeed(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme %q is not supported, only http and https are", u.Scheme)
	case u.Host == "":
		return nil, errors.New("the URL names no host")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// CheckWebSeed says what is wrong with the URL of a web seed, nil if nothing is.
func CheckWebSeed(s string) error {
	_, err := parseWebSeed(s)
	return err
}

// fileURL is where a web seed has a file. BEP 19: "If the "url-list" URL ends in
// a slash, "/" the client must add the "name" from the torrent to make the full URL."
// And of several files: it "must be a root folder where a client could add
// the same "name" and "path/file" to create the URL for the request."
func fileURL(base *url.URL, info *metainfo.Info, fileIndex int) *url.URL {
	u := *base
	escaped := u.EscapedPath()
	switch {
	case info.Multi:
		escaped = strings.TrimSuffix(escaped, "/") + "/" + url.PathEscape(info.Name)
		for _, component := range info.Files[fileIndex].Path {
			escaped += "/" + url.PathEscape(component)
		}
	case strings.HasSuffix(escaped, "/"):
		escaped += url.PathEscape(info.Name)
	}
	u.RawPath = escaped
	u.Path, _ = url.PathUnescape(escaped) // we have escaped it ourselves
	return &u
}

// parseContentRange reads the header of a response to a request for one range (RFC
// 9110): the first and the last byte, and the length of the whole file, -1 if the
// server does not say.
func parseContentRange(s string) (first, last, total int64, err error) {
	bad := fmt.Errorf("bad Content-Range %.60q", s)
	unit, rest, _ := strings.Cut(s, " ")
	span, whole, found := strings.Cut(rest, "/")
	from, to, both := strings.Cut(span, "-")
	if !strings.EqualFold(unit, "bytes") || !found || !both {
		return 0, 0, 0, bad
	}
	first, okFirst := parseDigits(from)
	last, okLast := parseDigits(to)
	total, okTotal := parseDigits(whole)
	if whole == "*" {
		total, okTotal = -1, true
	}
	if !okFirst || !okLast || !okTotal || last < first || total >= 0 && total <= last {
		return 0, 0, 0, bad
	}
	return first, last, total, nil
}

// parseDigits reads a number that consists of digits only.
func parseDigits(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// isLocalHost reports whether the host of a URL stands for this machine, or one in
// its network, by its letters: names are not looked up.
func isLocalHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}
