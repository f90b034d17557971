package krpc

import (
	"math"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo/bscan"
	"github.com/shoal-bt/shoal/metainfo/compact"
)

// Parse reads one packet into m, whatever m held before, and returns nil if
// every field that the kind and the method need is there and every known
// field is what its BEP says. Keys that are not known are ignored, and so are
// bytes behind the dictionary, which some nodes send. A refused query can be
// answered if m.Answerable(); nothing else of m counts then.
func (m *Message) Parse(packet []byte) *Refusal {
	*m = Message{}
	v, report, err := bscan.Scan(packet, bscan.Limits{Tokens: maxTokens})
	switch {
	case err != nil || v.Kind() != bscan.Dict:
		return RefuseBencode
	case report.Duplicate: // which of the two would be a matter of taste
		return RefuseDuplicate
	}
	var top envelope
	for key, value := range v.Dict() {
		top.take(key, value)
	}
	if r := m.parseEnvelope(&top); r != nil {
		return r
	}
	switch m.Kind {
	case Query:
		return m.parseQuery(top.method, top.args)
	case Response:
		return m.parseResponse(top.ret)
	}
	return m.parseError(top.err)
}

// envelope is the top-level dictionary: which values mean what is known only
// when y, nearly the last key, was seen.
type envelope struct {
	args, err, external, method, ret, readOnly, transaction, version, kind bscan.Value
}

func (e *envelope) take(key []byte, value bscan.Value) {
	switch string(key) {
	case "a":
		e.args = value
	case "e":
		e.err = value
	case "ip":
		e.external = value
	case "q":
		e.method = value
	case "r":
		e.ret = value
	case "ro":
		e.readOnly = value
	case "t":
		e.transaction = value
	case "v":
		e.version = value
	case "y":
		e.kind = value
	}
}

// parseEnvelope reads what every kind of message has. The transaction and the
// kind come first: without them nothing can be answered.
func (m *Message) parseEnvelope(top *envelope) *Refusal {
	t, _ := top.transaction.Str()
	if len(t) == 0 || len(t) > MaxTransactionLen {
		return RefuseTransaction
	}
	m.Transaction = t
	if m.Kind = parseKind(top.kind); m.Kind == 0 {
		return RefuseKind
	}
	if top.readOnly.Kind() != bscan.None && !flag(top.readOnly, &m.ReadOnly) {
		return RefuseReadOnly
	}
	if top.version.Kind() != bscan.None {
		v, ok := top.version.Str()
		if !ok {
			return RefuseVersion
		}
		m.Version = v
	}
	if top.external.Kind() != bscan.None {
		return m.parseExternal(top.external)
	}
	return nil
}

func parseKind(v bscan.Value) Kind {
	s, _ := v.Str()
	switch string(s) {
	case "q":
		return Query
	case "r":
		return Response
	case "e":
		return Error
	}
	return 0
}

// parseExternal reads BEP 42's ip, "a compact binary representation of the
// requestor's IP and port".
func (m *Message) parseExternal(v bscan.Value) *Refusal {
	s, _ := v.Str()
	if len(s) != compact.Len4 && len(s) != compact.Len6 {
		return RefuseExternal
	}
	addr := addrPort(s)
	m.External = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return nil
}

// flag reads an integer that is 0 or 1. Other numbers are neither: BEP 33
// says "if ... the value was not 1 then it should assume that the announcing
// node is a peer".
func flag(v bscan.Value, to *bool) bool {
	n, ok := v.Int()
	*to = n == 1
	return ok
}

// sized reads a string of exactly size bytes.
func sized(v bscan.Value, size int, to *[]byte) bool {
	s, ok := v.Str()
	*to = s
	return ok && len(s) == size
}

func parseID(v bscan.Value, to *ID) bool {
	s, _ := v.Str()
	return copy(to[:], s) == len(to) && len(s) == len(to)
}

// parseError reads e, "a list. The first element is an integer representing
// the error code. The second element is a string containing the error
// message."
func (m *Message) parseError(v bscan.Value) *Refusal {
	position := 0
	for element := range v.List() {
		switch position {
		case 0:
			code, ok := element.Int()
			if !ok || code < 0 || code > math.MaxInt32 {
				return RefuseError
			}
			m.Code = int(code)
		case 1:
			text, ok := element.Str()
			if !ok {
				return RefuseError
			}
			m.Text = text
		}
		position++
	}
	if position < 2 {
		return RefuseError
	}
	return nil
}
