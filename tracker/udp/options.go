package udp

import "errors"

// The options of BEP 41. "Option-types less than or equal to 0x1 are never
// followed by a length byte. Option-types greater than or equal to 0x2 are
// always followed by a length byte."
const (
	endOfOptions = 0x0
	nop          = 0x1
	urlData      = 0x2
)

// maxOptionLen is what a length byte can say.
const maxOptionLen = 255

// ErrOption says that an option ends before its length says so.
var ErrOption = errors.New("an option of the announce is cut off")

// AppendURLData appends the path and the query of a tracker's URL to an
// announce request (BEP 41): "chunked into blocks of no larger than 255 bytes".
// An empty one appends nothing.
func AppendURLData(b []byte, pathAndQuery string) []byte {
	for len(pathAndQuery) > 0 {
		chunk := pathAndQuery[:min(len(pathAndQuery), maxOptionLen)]
		b = append(b, urlData, byte(len(chunk)))
		b = append(b, chunk...)
		pathAndQuery = pathAndQuery[len(chunk):]
	}
	return b
}

// ParseURLData appends to dst the path and the query that the options behind
// an announce request hold ("if this option appears more than once, the data
// fields are concatenated"), at most as many bytes as options has. Other
// options are skipped. At ErrOption, dst has what came before the fault.
func ParseURLData(dst, options []byte) ([]byte, error) {
	for len(options) > 0 {
		kind := options[0]
		options = options[1:]
		switch kind {
		case endOfOptions:
			return dst, nil
		case nop:
			continue
		}
		if len(options) == 0 || len(options)-1 < int(options[0]) {
			return dst, ErrOption
		}
		data := options[1 : 1+int(options[0])]
		options = options[1+len(data):]
		if kind == urlData {
			dst = append(dst, data...)
		}
	}
	return dst, nil
}
