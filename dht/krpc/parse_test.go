package krpc

import (
	"strings"
	"testing"
)

const (
	head     = "d1:ad2:id20:abcdefghij0123456789"
	hash     = "9:info_hash20:mnopqrstuvwxyz123456"
	target   = "6:target20:mnopqrstuvwxyz123456"
	tail     = "1:t2:aa1:y1:qe"
	token    = "5:token2:zz"
	getPeers = "e1:q9:get_peers" + tail
	findNode = "e1:q9:find_node" + tail
	announce = "e1:q13:announce_peer" + tail
	get      = "e1:q3:get" + tail
	put      = "e1:q3:put" + tail
	answer   = "d1:rd2:id20:abcdefghij0123456789"
	answered = "e1:t2:aa1:y1:re"
)

var (
	key32 = "1:k32:" + strings.Repeat("k", 32)
	sig64 = "3:sig64:" + strings.Repeat("s", 64)
)

// Every field missing, of a wrong type, too long or too short.
var refused = []struct {
	packet     string
	want       *Refusal
	answerable bool
}{
	{"", RefuseBencode, false},
	{"x", RefuseBencode, false},
	{"le", RefuseBencode, false},
	{"i1e", RefuseBencode, false},
	{"d1:t2:aa1:y1:q", RefuseBencode, false},
	{"d1:t99999999:aa1:y1:qe", RefuseBencode, false},
	{strings.Repeat("l", 60_000), RefuseBencode, false},
	{"d1:x" + "l" + strings.Repeat("i1e", 5_000) + "e1:t2:aa1:y1:qe", RefuseBencode, false},
	{"d1:t2:aa1:t2:aa1:y1:qe", RefuseDuplicate, false},
	{"de", RefuseTransaction, false},
	{"d1:y1:qe", RefuseTransaction, false},
	{"d1:t0:1:y1:qe", RefuseTransaction, false},
	{"d1:ti1e1:y1:qe", RefuseTransaction, false},
	{"d1:t33:" + strings.Repeat("t", 33) + "1:y1:qe", RefuseTransaction, false},
	{"d1:t2:aae", RefuseKind, false},
	{"d1:t2:aa1:yi1ee", RefuseKind, false},
	{"d1:t2:aa1:y1:xe", RefuseKind, false},
	{"d1:t2:aa1:y2:qqe", RefuseKind, false},
	{"d2:ro1:11:t2:aa1:y1:qe", RefuseReadOnly, true},
	{"d1:t2:aa1:vi1e1:y1:qe", RefuseVersion, true},
	{"d2:ipi1e1:t2:aa1:y1:qe", RefuseExternal, true},
	{"d2:ip4:abcd1:t2:aa1:y1:qe", RefuseExternal, true},
	{"d2:ip19:abcdefghijklmnopqrs1:t2:aa1:y1:qe", RefuseExternal, true},
	{"d1:ade" + tail, RefuseMethod, true},
	{"d1:ade1:qi1e" + tail, RefuseMethod, true},
	{"d1:q4:ping" + tail, RefuseArguments, true},
	{"d1:ale1:q4:ping" + tail, RefuseArguments, true},
	{"d1:q13:announce_peer" + tail, RefuseArguments, true},
	{"d1:q3:put" + tail, RefuseArguments, true},
	{"d1:q3:xyz" + tail, RefuseArguments, true},
	{"d1:ade1:q4:ping" + tail, RefuseID, true},
	{"d1:ad2:idi1ee1:q4:ping" + tail, RefuseID, true},
	{"d1:ad2:id19:abcdefghij012345678e1:q4:ping" + tail, RefuseID, true},
	{"d1:ad2:id21:abcdefghij01234567890e1:q4:ping" + tail, RefuseID, true},
	{"d1:ad2:id0:e1:q3:xyz" + tail, RefuseID, true},
	{head + "e1:q3:xyz" + tail, RefuseUnknown, true},
	{head + "6:targeti1ee1:q3:xyz" + tail, RefuseUnknown, true},
	{head + findNode, RefuseTarget, true},
	{head + hash + findNode, RefuseTarget, true},
	{head + "6:target19:abcdefghij012345678" + findNode, RefuseTarget, true},
	{head + "6:targetle" + findNode, RefuseTarget, true},
	{head + target + "4:want2:n4" + findNode, RefuseWant, true},
	{head + target + "4:wantli4ee" + findNode, RefuseWant, true},
	{head + getPeers, RefuseInfoHash, true},
	{head + target + getPeers, RefuseInfoHash, true},
	{head + "9:info_hash21:mnopqrstuvwxyz1234567" + getPeers, RefuseInfoHash, true},
	{head + hash + "6:scrape1:1" + getPeers, RefuseFlag, true},
	{head + hash + "6:noseedle" + getPeers, RefuseFlag, true},
	{head + announce, RefuseInfoHash, true},
	{head + "4:porti1e" + token + announce, RefuseInfoHash, true},
	{head + hash + "4:porti1e" + announce, RefuseToken, true},
	{head + hash + "4:porti1e5:token0:" + announce, RefuseToken, true},
	{head + hash + "4:porti1e5:tokeni1e" + announce, RefuseToken, true},
	{head + hash + "4:porti1e5:token65:" + strings.Repeat("t", 65) + announce, RefuseToken, true},
	{head + hash + token + announce, RefusePort, true},
	{head + hash + "4:porti0e" + token + announce, RefusePort, true},
	{head + hash + "4:porti-1e" + token + announce, RefusePort, true},
	{head + hash + "4:porti65536e" + token + announce, RefusePort, true},
	{head + hash + "4:port4:6881" + token + announce, RefusePort, true},
	{head + "12:implied_porti0e" + hash + token + announce, RefusePort, true},
	{head + "12:implied_port1:1" + hash + token + announce, RefuseFlag, true},
	{head + hash + "4:porti1e4:seed1:1" + token + announce, RefuseFlag, true},
	{head + get, RefuseTarget, true},
	{head + "3:seqi-1e" + target + get, RefuseSeq, true},
	{head + "3:seq1:1" + target + get, RefuseSeq, true},
	{head + "3:seqi9223372036854775808e" + target + get, RefuseBencode, false},
	{head + put, RefuseToken, true},
	{head + "1:v1:x" + put, RefuseToken, true},
	{head + token + put, RefuseValue, true},
	{head + token + "1:v996:" + strings.Repeat("v", 997) + put, RefuseBencode, false},
	{head + token + "1:v997:" + strings.Repeat("v", 997) + put, RefuseValueLen, true},
	{head + token + "1:vd1:b0:1:a0:e" + put, RefuseValue, true},
	{head + token + "1:vd1:a0:1:a0:e" + put, RefuseDuplicate, false},
	{head + "1:k31:" + strings.Repeat("k", 31) + token + "1:v1:x" + put, RefuseKey, true},
	{head + "1:ki1e" + token + "1:v1:x" + put, RefuseKey, true},
	{head + key32 + token + "1:v1:x" + put, RefuseSigLen, true},
	{head + key32 + sig64 + token + "1:v1:x" + put, RefuseSeq, true},
	{head + key32 + "3:seqi1e" + token + "1:v1:x" + put, RefuseSigLen, true},
	{head + "3:seqi1e" + sig64 + token + "1:v1:x" + put, RefuseKey, true},
	{head + "3:sig63:" + strings.Repeat("s", 63) + token + "1:v1:x" + put, RefuseSigLen, true},
	{head + "4:salti1e" + token + "1:v1:x" + put, RefuseSalt, true},
	{head + "4:salt65:" + strings.Repeat("s", 65) + token + "1:v1:x" + put, RefuseSaltLen, true},
	{"d1:ad3:cas1:12:id20:abcdefghij0123456789" + token + "1:v1:x" + put, RefuseCAS, true},
	{head + "e1:q17:sample_infohashes" + tail, RefuseTarget, true},
	{"d1:t2:aa1:y1:re", RefuseReturn, false},
	{"d1:rle1:t2:aa1:y1:re", RefuseReturn, false},
	{"d1:rde1:t2:aa1:y1:re", RefuseID, false},
	{"d1:rd2:id19:abcdefghij012345678e1:t2:aa1:y1:re", RefuseID, false},
	{answer + "5:nodes25:" + strings.Repeat("n", 25) + answered, RefuseNodes, false},
	{answer + "5:nodesle" + answered, RefuseNodes, false},
	{answer + "6:nodes626:" + strings.Repeat("n", 26) + answered, RefuseNodes6, false},
	{answer + "6:values6:abcdef" + answered, RefuseValues, false},
	{answer + "6:valuesl5:abcdee" + answered, RefuseValues, false},
	{answer + "6:valuesli1ee" + answered, RefuseValues, false},
	{answer + "5:token0:" + answered, RefuseToken, false},
	{"d1:rd4:BFpe255:" + strings.Repeat("p", 255) + "2:id20:abcdefghij0123456789" + answered, RefuseFilter, false},
	{"d1:rd4:BFsdi1e2:id20:abcdefghij0123456789" + answered, RefuseFilter, false},
	{answer + "7:samples19:abcdefghij012345678" + answered, RefuseSamples, false},
	{answer + "3:num1:1" + answered, RefuseNum, false},
	{answer + "3:numi-1e" + answered, RefuseNum, false},
	{answer + "8:intervali21601e" + answered, RefuseInterval, false},
	{answer + "8:intervali-1e" + answered, RefuseInterval, false},
	{answer + "1:v998:" + strings.Repeat("v", 998) + answered, RefuseValueLen, false},
	{"d1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:e3:foo1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:ele1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:eli201ee1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:el3:2011:xe1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:eli201ei1ee1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:eli-1e1:xe1:t2:aa1:y1:ee", RefuseError, false},
	{"d1:eli4294967296e1:xe1:t2:aa1:y1:ee", RefuseError, false},
}

func TestRefused(t *testing.T) {
	for _, test := range refused {
		var m Message
		if r := m.Parse([]byte(test.packet)); r != test.want || m.Answerable() != test.answerable {
			t.Errorf("%.90q: %v, answerable %v; want %v, %v", test.packet, r, m.Answerable(), test.want, test.answerable)
		}
	}
}

// What looks odd and is allowed.
func TestAccepted(t *testing.T) {
	for _, test := range []struct {
		packet string
		check  func(m *Message) bool
	}{
		{"d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee", func(m *Message) bool { return m.Method == Ping && m.ID == idA }},
		{head + "e1:q4:ping1:t2:aa1:y1:qe\n", func(m *Message) bool { return m.Method == Ping }},
		{head + target + "e1:q3:xyz" + tail, func(m *Message) bool { return m.Method == Unknown && m.Target == idM }},
		{head + hash + "5:tokeni1ee1:q3:xyz" + tail, func(m *Message) bool { return m.Method == Unknown && m.Target == idM }},
		{head + hash + target + findNode, func(m *Message) bool { return m.Target == idM }},
		{head + "9:info_hash20:abcdefghij0123456789" + target + findNode, func(m *Message) bool { return m.Target == idM }},
		{head + hash + "6:target20:abcdefghij0123456789" + getPeers, func(m *Message) bool { return m.Target == idM }},
		{head + target + "4:wantl2:n93:foo2:n6ee1:q9:find_node" + tail, func(m *Message) bool { return m.Want == WantNodes6 }},
		{head + target + "4:wantlee1:q9:find_node" + tail, func(m *Message) bool { return m.Want == WantOther }},
		{head + "12:implied_porti1e" + hash + token + announce, func(m *Message) bool { return m.ImpliedPort && m.Port == 0 }},
		{head + "12:implied_porti7e" + hash + "4:porti99999e" + token + announce, func(m *Message) bool { return m.ImpliedPort && m.Port == 0 }},
		{head + hash + "4:porti1e4:seedi2e" + token + announce, func(m *Message) bool { return !m.Seed }},
		{head + token + "1:v996:" + strings.Repeat("v", 996) + put, func(m *Message) bool { return len(m.Value) == 1000 }},
		{head + "4:salt0:" + token + "1:vle" + put, func(m *Message) bool { return m.Salt != nil && string(m.Value) == "le" }},
		{answer + "6:valuesle" + answered, func(m *Message) bool { return m.Values != nil && len(m.Values) == 0 }},
		{answer + "3:foo3:bar" + answered, func(m *Message) bool { return m.ID == idA }},
		{"d1:eli203e0:4:moree1:t2:aa1:y1:ee", func(m *Message) bool { return m.Code == CodeProtocol && m.Text != nil }},
	} {
		m := Message{Port: 9, Token: aa} // what is left from the packet before must not shine through
		if r := m.Parse([]byte(test.packet)); r != nil || !test.check(&m) {
			t.Errorf("%.90q: %v, %+v", test.packet, r, m)
		}
	}
}
