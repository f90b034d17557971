package krpc

import (
	"math"

	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// seen notes which arguments were there, of those whose zero value could also
// be what was sent.
type seen struct{ id, target, infoHash, port bool }

func (m *Message) parseQuery(method, args bscan.Value) *Refusal {
	name, ok := method.Str()
	switch {
	case !ok:
		return RefuseMethod
	case args.Kind() != bscan.Dict:
		return RefuseArguments
	}
	if m.Method = parseMethod(name); m.Method == Unknown {
		return m.parseUnknown(args)
	}
	var has seen
	for key, value := range args.Dict() {
		if r := m.argument(key, value, &has); r != nil {
			return r
		}
	}
	if !has.id {
		return RefuseID
	}
	return m.needArguments(&has)
}

// parseUnknown reads a query of a method from the future. Its other arguments
// may mean anything; only what find_node needs is looked at.
func (m *Message) parseUnknown(args bscan.Value) *Refusal {
	if !parseID(args.Get("id"), &m.ID) {
		return RefuseID
	}
	if !parseID(args.Get("target"), &m.Target) && !parseID(args.Get("info_hash"), &m.Target) {
		return RefuseUnknown
	}
	if want := args.Get("want"); want.Kind() != bscan.None {
		return m.parseWant(want)
	}
	return nil
}

// argument reads one argument of a query. A known name with a wrong value is
// refused in every method, needed there or not.
func (m *Message) argument(key []byte, v bscan.Value, has *seen) *Refusal {
	switch string(key) {
	case "id":
		has.id = true
		return refuseUnless(parseID(v, &m.ID), RefuseID)
	case "target":
		return m.parseTarget(v, &has.target, m.Method != GetPeers && m.Method != AnnouncePeer, RefuseTarget)
	case "info_hash":
		return m.parseTarget(v, &has.infoHash, m.Method == GetPeers || m.Method == AnnouncePeer, RefuseInfoHash)
	case "port":
		return m.parsePort(v, has)
	case "implied_port":
		return m.parseImpliedPort(v)
	case "seed":
		return refuseUnless(flag(v, &m.Seed), RefuseFlag)
	case "noseed":
		return refuseUnless(flag(v, &m.NoSeed), RefuseFlag)
	case "scrape":
		return refuseUnless(flag(v, &m.Scrape), RefuseFlag)
	case "want":
		return m.parseWant(v)
	case "cas":
		m.CAS, m.HasCAS = v.Int()
		return refuseUnless(m.HasCAS, RefuseCAS)
	case "salt":
		return m.parseSalt(v)
	case "v":
		if r := m.parseValue(v); r != nil {
			return r
		}
		// BEP 44: "If the value in a put request contains invalid bencoding
		// (e.g. a dictionary with unsorted keys), the storing node MUST
		// reject the request".
		_, err := bscan.Strict(v.Bytes(), bscan.Limits{})
		return refuseUnless(err == nil, RefuseValue)
	}
	return m.shared(key, v)
}

// shared reads what queries and responses have in common.
func (m *Message) shared(key []byte, v bscan.Value) *Refusal {
	switch string(key) {
	case "token":
		s, _ := v.Str()
		m.Token = s
		return refuseUnless(len(s) > 0 && len(s) <= MaxTokenLen, RefuseToken)
	case "k":
		return refuseUnless(sized(v, KeyLen, &m.Key), RefuseKey)
	case "sig":
		return refuseUnless(sized(v, SignatureLen, &m.Sig), RefuseSigLen)
	case "seq":
		m.Seq, m.HasSeq = v.Int()
		return refuseUnless(m.HasSeq && m.Seq >= 0, RefuseSeq)
	}
	return nil
}

func refuseUnless(ok bool, r *Refusal) *Refusal {
	if ok {
		return nil
	}
	return r
}

// parseTarget reads target or info_hash, of which a method uses only one: a
// find_node answered by its info_hash would lead elsewhere.
func (m *Message) parseTarget(v bscan.Value, has *bool, used bool, r *Refusal) *Refusal {
	var id ID
	if !parseID(v, &id) {
		return r
	}
	if *has = true; used {
		m.Target = id
	}
	return nil
}

// parsePort leaves a number that is no port at 0: whether that matters is
// known when implied_port, which may come later in a dictionary out of
// order, has been read.
func (m *Message) parsePort(v bscan.Value, has *seen) *Refusal {
	n, ok := v.Int()
	if ok && n > 0 && n <= math.MaxUint16 {
		has.port, m.Port = true, uint16(n)
	}
	return refuseUnless(ok, RefusePort)
}

// parseImpliedPort obeys BEP 5: "If it is present and non-zero, the port
// argument should be ignored".
func (m *Message) parseImpliedPort(v bscan.Value) *Refusal {
	n, ok := v.Int()
	m.ImpliedPort = n != 0
	return refuseUnless(ok, RefuseFlag)
}

// parseWant reads BEP 32's list: "other strings may be present in the list,
// and must be silently ignored on reception".
func (m *Message) parseWant(v bscan.Value) *Refusal {
	if v.Kind() != bscan.List {
		return RefuseWant
	}
	for element := range v.List() {
		s, ok := element.Str()
		if !ok {
			return RefuseWant
		}
		switch string(s) {
		case "n4":
			m.Want |= WantNodes4
		case "n6":
			m.Want |= WantNodes6
		}
	}
	if m.Want == 0 {
		m.Want = WantOther
	}
	return nil
}

func (m *Message) parseSalt(v bscan.Value) *Refusal {
	s, ok := v.Str()
	m.Salt = s
	switch {
	case !ok:
		return RefuseSalt
	case len(s) > MaxSaltLen:
		return RefuseSaltLen
	}
	return nil
}

func (m *Message) parseValue(v bscan.Value) *Refusal {
	m.Value = v.Bytes()
	return refuseUnless(len(m.Value) <= MaxValueLen, RefuseValueLen)
}

// needArguments refuses a query whose method needs what is not there.
func (m *Message) needArguments(has *seen) *Refusal {
	switch m.Method {
	case FindNode, Get, SampleInfohashes:
		return refuseUnless(has.target, RefuseTarget)
	case GetPeers:
		return refuseUnless(has.infoHash, RefuseInfoHash)
	case AnnouncePeer:
		return m.needAnnounce(has)
	case Put:
		return m.needPut()
	}
	return nil
}

func (m *Message) needAnnounce(has *seen) *Refusal {
	switch {
	case !has.infoHash:
		return RefuseInfoHash
	case m.Token == nil:
		return RefuseToken
	case !has.port && !m.ImpliedPort:
		return RefusePort
	}
	return nil
}

// needPut tells the two kinds of BEP 44's put apart: "The distinction between
// storing mutable and immutable items is the inclusion of a public key, a
// sequence number, signature and an optional salt". A sequence number alone
// makes no mutable item: anacrolix/dht sends one with every put.
func (m *Message) needPut() *Refusal {
	mutable := m.Key != nil || m.Sig != nil
	switch {
	case m.Token == nil:
		return RefuseToken
	case m.Value == nil:
		return RefuseValue
	case mutable && m.Key == nil:
		return RefuseKey
	case mutable && m.Sig == nil:
		return RefuseSigLen
	case mutable && !m.HasSeq:
		return RefuseSeq
	}
	return nil
}
