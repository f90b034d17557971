package krpc

import (
	"strconv"

	"github.com/shoal-bt/shoal/metainfo/compact"
)

// Append appends the packet of m to b: every field that is set and belongs to
// the kind, with the keys in order. What Parse would refuse is written all the
// same: lengths are the caller's to keep. A query of the method Unknown has no
// name to write; it becomes one called "unknown".
func (m *Message) Append(b []byte) []byte {
	b = append(b, 'd')
	switch m.Kind {
	case Query:
		b = m.appendArguments(append(b, "1:a"...))
	case Error:
		b = appendInt(append(b, "1:el"...), int64(m.Code))
		b = append(appendString(b, m.Text), 'e')
	}
	if m.External.IsValid() {
		b = appendExternal(b, m)
	}
	switch m.Kind {
	case Query:
		b = appendString(append(b, "1:q"...), m.Method.String())
	case Response:
		b = m.appendReturn(append(b, "1:r"...))
	}
	if m.ReadOnly {
		b = append(b, "2:roi1e"...)
	}
	b = appendString(append(b, "1:t"...), m.Transaction)
	b = appendOptional(b, "1:v", m.Version)
	return append(b, "1:y1:"+kindLetters[m.Kind]+"e"...)
}

var kindLetters = [...]string{Query: "q", Response: "r", Error: "e"}

func appendExternal(b []byte, m *Message) []byte {
	if m.External.Addr().Unmap().Is4() {
		return compact.Append(append(b, "2:ip6:"...), m.External)
	}
	return compact.Append(append(b, "2:ip18:"...), m.External)
}

func (m *Message) appendArguments(b []byte) []byte {
	b = append(b, 'd')
	if m.HasCAS {
		b = appendInt(append(b, "3:cas"...), m.CAS)
	}
	b = appendID(b, "2:id", m.ID)
	b = appendFlag(b, "12:implied_port", m.ImpliedPort)
	if m.Method == GetPeers || m.Method == AnnouncePeer {
		b = appendID(b, "9:info_hash", m.Target)
	}
	b = appendOptional(b, "1:k", m.Key)
	b = appendFlag(b, "6:noseed", m.NoSeed)
	if m.Method == AnnouncePeer && (m.Port != 0 || !m.ImpliedPort) {
		b = appendInt(append(b, "4:port"...), int64(m.Port))
	}
	b = appendOptional(b, "4:salt", m.Salt)
	b = appendFlag(b, "6:scrape", m.Scrape)
	b = appendFlag(b, "4:seed", m.Seed)
	b = m.appendSigned(b)
	switch m.Method {
	case FindNode, Get, SampleInfohashes, Unknown:
		b = appendID(b, "6:target", m.Target)
	}
	b = appendOptional(b, "5:token", m.Token)
	if m.Value != nil {
		b = append(append(b, "1:v"...), m.Value...)
	}
	return append(appendWant(b, m.Want), 'e')
}

func (m *Message) appendReturn(b []byte) []byte {
	b = append(b, 'd')
	b = appendOptional(b, "4:BFpe", m.BFpe)
	b = appendOptional(b, "4:BFsd", m.BFsd)
	b = appendID(b, "2:id", m.ID)
	if m.Samples != nil {
		b = appendInt(append(b, "8:interval"...), m.Interval)
	}
	b = appendOptional(b, "1:k", m.Key)
	b = appendOptional(b, "5:nodes", m.Nodes)
	b = appendOptional(b, "6:nodes6", m.Nodes6)
	if m.Samples != nil {
		b = appendInt(append(b, "3:num"...), m.Num)
	}
	b = appendOptional(b, "7:samples", m.Samples)
	b = m.appendSigned(b)
	b = appendOptional(b, "5:token", m.Token)
	if m.Value != nil {
		b = append(append(b, "1:v"...), m.Value...)
	}
	if m.Values != nil {
		b = append(append(append(b, "6:valuesl"...), m.Values...), 'e')
	}
	return append(b, 'e')
}

// appendSigned appends seq and sig, which are neighbours in both dictionaries.
func (m *Message) appendSigned(b []byte) []byte {
	if m.HasSeq {
		b = appendInt(append(b, "3:seq"...), m.Seq)
	}
	return appendOptional(b, "3:sig", m.Sig)
}

func appendWant(b []byte, want Want) []byte {
	if want == 0 {
		return b
	}
	b = append(b, "4:wantl"...)
	if want&WantNodes4 != 0 {
		b = append(b, "2:n4"...)
	}
	if want&WantNodes6 != 0 {
		b = append(b, "2:n6"...)
	}
	return append(b, 'e')
}

// appendOptional appends a bencoded key and a string, unless it is nil.
func appendOptional(b []byte, key string, s []byte) []byte {
	if s == nil {
		return b
	}
	return appendString(append(b, key...), s)
}

func appendFlag(b []byte, key string, set bool) []byte {
	if !set {
		return b
	}
	return append(append(b, key...), "i1e"...)
}

func appendID(b []byte, key string, id ID) []byte {
	return append(append(append(b, key...), "20:"...), id[:]...)
}

func appendString[S string | []byte](b []byte, s S) []byte {
	b = append(strconv.AppendInt(b, int64(len(s)), 10), ':')
	return append(b, s...)
}

func appendInt(b []byte, n int64) []byte {
	return append(strconv.AppendInt(append(b, 'i'), n, 10), 'e')
}
