package krpc

import "github.com/shoal-bt/shoal/metainfo/bscan"

func (m *Message) parseResponse(ret bscan.Value) *Refusal {
	if ret.Kind() != bscan.Dict {
		return RefuseReturn
	}
	hasID := false
	for key, value := range ret.Dict() {
		if string(key) == "id" {
			hasID = parseID(value, &m.ID)
			continue
		}
		if r := m.returned(key, value); r != nil {
			return r
		}
	}
	return refuseUnless(hasID, RefuseID)
}

// returned reads one return value. What a response must have depends on the
// query, which only the one who sent it knows.
func (m *Message) returned(key []byte, v bscan.Value) *Refusal {
	switch string(key) {
	case "nodes":
		return refuseUnless(multiple(v, NodeLen4, &m.Nodes), RefuseNodes)
	case "nodes6":
		return refuseUnless(multiple(v, NodeLen6, &m.Nodes6), RefuseNodes6)
	case "values":
		values, ok := parseValues(v)
		m.Values = values
		return refuseUnless(ok, RefuseValues)
	case "BFsd":
		return refuseUnless(sized(v, FilterLen, &m.BFsd), RefuseFilter)
	case "BFpe":
		return refuseUnless(sized(v, FilterLen, &m.BFpe), RefuseFilter)
	case "samples":
		return refuseUnless(multiple(v, len(ID{}), &m.Samples), RefuseSamples)
	case "num":
		n, ok := v.Int()
		m.Num = n
		return refuseUnless(ok && n >= 0, RefuseNum)
	case "interval":
		n, ok := v.Int()
		m.Interval = n
		return refuseUnless(ok && n >= 0 && n <= MaxInterval, RefuseInterval)
	case "v":
		return m.parseValue(v)
	}
	return m.shared(key, v)
}

// multiple reads a string of whole units.
func multiple(v bscan.Value, unitLen int, to *[]byte) bool {
	s, ok := v.Str()
	*to = s
	return ok && len(s)%unitLen == 0
}
