package server

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// simpleRequest is a request that the front answers itself. Its strings are
// parts of what was parsed.
type simpleRequest struct {
	// keyed is set before parse: a key may stand in the path, as on a private
	// tracker.
	keyed bool

	key       string // empty if there is none
	scrape    bool   // else it is an announce
	query     string
	close     bool // the client wants the connection to be closed
	forwarded forwarding
	hosts     int
}

// cutLine cuts off the line at the front of s, without the two bytes that end
// it. A line feed alone ends none: ok is false. A carriage return alone is found
// where the line is read, as nothing that may stand there.
func cutLine(s string) (line, rest string, ok bool) {
	line, rest, ok = cutByte(s, '\n')
	if !ok || line == "" || line[len(line)-1] != '\r' {
		return "", "", false
	}
	return line[:len(line)-1], rest, true
}

// parse reads a simple request from the front of s and returns its length in
// bytes, or 0 if there is none: a whole HTTP/1.1 GET of /announce or /scrape
// with a query, without a body, and with nothing odd in its header. All else is
// left to net/http, so that odd requests are understood in one place only. What
// parse takes, net/http would have taken, and read in the same way
// (FuzzSimpleRequest).
func (r *simpleRequest) parse(s string) int {
	*r = simpleRequest{keyed: r.keyed, forwarded: forwarding{r.forwarded.xForwardedFor[:0], r.forwarded.forwarded[:0]}}
	line, rest, ok := cutLine(s)
	if !ok || !r.parseRequestLine(line) {
		return 0
	}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return 0
		}
		if line == "" {
			break
		}
		if !r.parseField(line) {
			return 0
		}
	}
	// RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status
	// code to any HTTP/1.1 request message that lacks a Host header field and
	// to any request message that contains more than one".
	if r.hosts != 1 {
		return 0
	}
	return len(s) - len(rest)
}

func (r *simpleRequest) parseRequestLine(line string) bool {
	target, ok := strings.CutSuffix(line, " HTTP/1.1")
	if !ok {
		return false
	}
	if target, ok = strings.CutPrefix(target, "GET /"); !ok {
		return false
	}
	if r.keyed {
		r.key, target = cutSimpleKey(target)
	}
	if r.query, ok = strings.CutPrefix(target, "announce?"); ok {
		return isPrintable(r.query, '!')
	}
	r.scrape = true
	r.query, ok = strings.CutPrefix(target, "scrape?")
	return ok && isPrintable(r.query, '!')
}

// cutSimpleKey cuts off a key of letters and digits, as Server.splitKey does.
func cutSimpleKey(target string) (key, rest string) {
	for i := range len(target) {
		switch {
		case isAlnum(target[i]):
		case target[i] == '/' && i > 0:
			return target[:i], target[i+1:]
		default:
			return "", target
		}
	}
	return "", target
}

// parseField reads a line of the header. Those that give the request a body,
// or ask for another protocol, are odd.
func (r *simpleRequest) parseField(line string) bool {
	name, value, ok := cutByte(line, ':')
	if !ok || !isSimpleName(name) || !isPrintable(value, ' ') {
		return false
	}
	value = strings.Trim(value, " ")
	switch len(name) { // most names need not be compared
	case len("host"):
		if isFolded(name, "host") {
			r.hosts++
			return isSimpleHost(value)
		}
	case len("connection"):
		if isFolded(name, "connection") {
			r.close = r.close || isFolded(value, "close")
			return isFolded(value, "close") || isFolded(value, "keep-alive")
		}
	case len("x-forwarded-for"):
		if isFolded(name, "x-forwarded-for") {
			r.forwarded.xForwardedFor = append(r.forwarded.xForwardedFor, value)
		}
	case len("forwarded"):
		if isFolded(name, "forwarded") {
			r.forwarded.forwarded = append(r.forwarded.forwarded, value)
		}
	case len("expect"):
		return !isFolded(name, "expect")
	case len("upgrade"): // and of trailer
		return !isFolded(name, "upgrade") && !isFolded(name, "trailer")
	case len("content-length"):
		return !isFolded(name, "content-length")
	case len("transfer-encoding"):
		return !isFolded(name, "transfer-encoding")
	}
	return true
}

// isPrintable reports whether s has neither control characters nor other
// characters below least. Bytes above 0x7f are none: some clients send the
// info-hash raw.
func isPrintable(s string, least byte) bool {
	for i := range len(s) {
		if s[i] < least || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isFolded reports whether s is lower, but for the case of ASCII letters. It
// is not strings.EqualFold, which takes the long s (U+017F) for an s.
func isFolded(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isSimpleName reports whether s is a name of a field as they usually are. RFC
// 9110, 5.1, allows more.
func isSimpleName(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

// isSimpleHost reports whether s is made as a name or an address, with or
// without a port.
func isSimpleHost(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(".:-_[]", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// asString is b as a string, without a copy. It is good until b changes, and
// nothing of a request is kept as a string.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// respondSimple makes sc.response the response to r, as net/http would write
// it.
func (s *Server) respondSimple(sc *scratch, r *simpleRequest, remote netip.Addr) {
	from, err := s.cfg().asker(remote, r.forwarded)
	now := time.Now()
	s.answer(now.Sub(s.begin), sc, r.key, r.scrape, r.query, from, err)
	b := append(sc.response[:0], "HTTP/1.1 200 OK\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(sc.body)), 10)
	b = append(b, "\r\nContent-Type: "+contentType+"\r\nDate: "...)
	b = sc.appendDate(b, now)
	if r.close {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\n\r\n"...)
	sc.response = append(b, sc.body...)
}

// appendDate appends now as HTTP writes it, which changes once a second.
func (sc *scratch) appendDate(b []byte, now time.Time) []byte {
	if sec := now.Unix(); sec != sc.dateSec {
		sc.dateSec = sec
		sc.date = now.UTC().AppendFormat(sc.date[:0], http.TimeFormat)
	}
	return append(b, sc.date...)
}
