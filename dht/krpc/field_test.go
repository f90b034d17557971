package krpc

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
)

// tree is a message as a dictionary, to be changed and encoded.
type tree = map[string]any

// field is one field of a message: what Parse says when it is missing (nil: it
// may be), and what when it is wrong.
type field struct {
	path   string // "t", or "a.id" inside of the arguments
	absent *Refusal
	wrong  []wrong
}

type wrong struct {
	value any
	want  *Refusal
}

var (
	anInt  = int64(7)
	aList  = []any{"x"}
	aDict  = tree{"x": int64(1)}
	tooBig = bencode.Bytes("i9223372036854775808e")
)

func all(want *Refusal, values ...any) (w []wrong) {
	for _, v := range values {
		w = append(w, wrong{v, want})
	}
	return w
}

func noString(r *Refusal) []wrong { return all(r, anInt, int64(0), int64(-1), aList, []any{}, aDict) }
func noInt(r *Refusal) []wrong    { return all(r, "", "7", "i7e", aList, []any{}, aDict) }
func noDict(r *Refusal) []wrong   { return all(r, anInt, "", "x", aList, []any{}) }

// chars is a string of a length.
func chars(n int) string { return strings.Repeat("s", n) }

// lengths are strings that are too short or too long.
func lengths(r *Refusal, lens ...int) (w []wrong) {
	for _, n := range lens {
		w = append(w, wrong{chars(n), r})
	}
	return w
}

// exactly is what is wrong with a string that must have n bytes.
func exactly(n int, r *Refusal) []wrong {
	return append(noString(r), lengths(r, 0, 1, n-1, n+1, 2*n, 5000)...)
}

// whole is what is wrong with a string that must have n bytes for each unit.
func whole(n int, r *Refusal) []wrong {
	return append(noString(r), lengths(r, 1, n-1, n+1, 2*n-1, 100*n+1)...)
}

func number(r *Refusal, outside ...int64) []wrong {
	w := append(noInt(r), wrong{tooBig, RefuseBencode})
	for _, n := range outside {
		w = append(w, wrong{n, r})
	}
	return w
}

func flags(paths ...string) (f []field) {
	for _, path := range paths {
		f = append(f, field{path, nil, number(RefuseFlag)})
	}
	return f
}

var (
	idField    = exactly(20, RefuseID)
	tokenField = append(noString(RefuseToken), lengths(RefuseToken, 0, 65, 5000)...)
	wantField  = field{"a.want", nil, all(RefuseWant, anInt, "n4", aDict, []any{anInt}, []any{"n4", []any{}}, []any{aDict})}
	valueField = []wrong{{chars(997), RefuseValueLen}, {chars(5000), RefuseValueLen}, {bencode.Bytes("d1:b0:1:a0:e"), RefuseValue}}
)

// envelopes are the fields of every message.
func envelopes(fields ...field) []field {
	return append([]field{
		{"t", RefuseTransaction, append(noString(RefuseTransaction), lengths(RefuseTransaction, 0, 33, 5000)...)},
		{"y", RefuseKind, append(noString(RefuseKind), all(RefuseKind, "", "x", "qq", "Q")...)},
		{"ro", nil, number(RefuseReadOnly)},
		{"v", nil, noString(RefuseVersion)},
		{"ip", nil, append(noString(RefuseExternal), lengths(RefuseExternal, 0, 4, 5, 7, 16, 17, 19, 5000)...)},
	}, fields...)
}

func queryFields(fields ...field) []field {
	return envelopes(append([]field{
		{"q", RefuseMethod, noString(RefuseMethod)},
		{"a", RefuseArguments, noDict(RefuseArguments)},
		{"a.id", RefuseID, idField},
	}, fields...)...)
}

func responseFields(fields ...field) []field {
	return envelopes(append([]field{
		{"r", RefuseReturn, noDict(RefuseReturn)},
		{"r.id", RefuseID, idField},
	}, fields...)...)
}

func query(method string, args tree) tree {
	args["id"] = string(idA[:])
	return tree{"y": "q", "t": "aa", "ro": int64(1), "v": "SH01", "ip": chars(6), "q": method, "a": args}
}

func response(ret tree) tree {
	ret["id"] = string(idA[:])
	return tree{"y": "r", "t": "aa", "ro": int64(0), "v": "SH01", "ip": chars(18), "r": ret}
}

// wholeMessages are messages with every field that they may have.
var wholeMessages = []struct {
	name   string
	m      tree
	fields []field
}{
	{"ping", query("ping", tree{}), queryFields()},
	{"find_node", query("find_node", tree{"target": string(idM[:]), "want": []any{"n4", "n6"}}),
		queryFields(field{"a.target", RefuseTarget, exactly(20, RefuseTarget)}, wantField)},
	{"get_peers", query("get_peers", tree{"info_hash": string(idM[:]), "want": []any{"n6"}, "noseed": int64(1), "scrape": int64(1)}),
		queryFields(append(flags("a.noseed", "a.scrape"), wantField, field{"a.info_hash", RefuseInfoHash, exactly(20, RefuseInfoHash)})...)},
	{"announce_peer", query("announce_peer", tree{"info_hash": string(idM[:]), "port": int64(6881), "implied_port": int64(0), "seed": int64(1), "token": "zz"}),
		queryFields(append(flags("a.implied_port", "a.seed"),
			field{"a.info_hash", RefuseInfoHash, exactly(20, RefuseInfoHash)},
			field{"a.port", RefusePort, number(RefusePort, 0, -1, 65536, math.MaxInt64, math.MinInt64)},
			field{"a.token", RefuseToken, tokenField})...)},
	{"get", query("get", tree{"target": string(idM[:]), "seq": int64(4)}),
		queryFields(field{"a.target", RefuseTarget, exactly(20, RefuseTarget)}, field{"a.seq", nil, number(RefuseSeq, -1, math.MinInt64)})},
	{"put of an immutable item", query("put", tree{"token": "zz", "v": "Hello World!"}),
		queryFields(field{"a.token", RefuseToken, tokenField}, field{"a.v", RefuseValue, valueField})},
	{"put of a mutable item", query("put", tree{"token": "zz", "v": "Hello World!", "k": chars(32), "sig": chars(64), "seq": int64(4), "cas": int64(3), "salt": "foobar"}),
		queryFields(
			field{"a.token", RefuseToken, tokenField}, field{"a.v", RefuseValue, valueField},
			field{"a.k", RefuseKey, exactly(32, RefuseKey)}, field{"a.sig", RefuseSigLen, exactly(64, RefuseSigLen)},
			field{"a.seq", RefuseSeq, number(RefuseSeq, -1, math.MinInt64)}, field{"a.cas", nil, number(RefuseCAS)},
			field{"a.salt", nil, append(noString(RefuseSalt), lengths(RefuseSaltLen, 65, 5000)...)})},
	{"sample_infohashes", query("sample_infohashes", tree{"target": string(idM[:]), "want": []any{"n4"}}),
		queryFields(field{"a.target", RefuseTarget, exactly(20, RefuseTarget)}, wantField)},
	{"a method of the future", query("vote", tree{"target": string(idM[:]), "want": []any{"n4"}}),
		queryFields(field{"a.target", RefuseUnknown, exactly(20, RefuseUnknown)}, wantField)},
	{"answer to ping, announce_peer and put", response(tree{}), responseFields()},
	{"answer to find_node", response(tree{"nodes": chars(52), "nodes6": chars(76)}),
		responseFields(field{"r.nodes", nil, whole(26, RefuseNodes)}, field{"r.nodes6", nil, whole(38, RefuseNodes6)})},
	{"answer to get_peers", response(tree{"nodes": chars(26), "values": []any{chars(6), chars(18)}, "token": "zz", "BFsd": chars(256), "BFpe": chars(256)}),
		responseFields(
			field{"r.nodes", nil, whole(26, RefuseNodes)}, field{"r.token", nil, tokenField},
			field{"r.values", nil, all(RefuseValues, anInt, "", chars(6), aDict, []any{""}, []any{chars(6), chars(5)}, []any{chars(7)}, []any{chars(17)}, []any{chars(19)}, []any{anInt}, []any{[]any{}})},
			field{"r.BFsd", nil, exactly(256, RefuseFilter)}, field{"r.BFpe", nil, exactly(256, RefuseFilter)})},
	{"answer to get", response(tree{"token": "zz", "v": "Hello World!", "k": chars(32), "sig": chars(64), "seq": int64(4), "nodes": ""}),
		responseFields(
			field{"r.nodes", nil, whole(26, RefuseNodes)}, field{"r.token", nil, tokenField}, field{"r.v", nil, valueField[:2]}, field{"r.k", nil, exactly(32, RefuseKey)},
			field{"r.sig", nil, exactly(64, RefuseSigLen)}, field{"r.seq", nil, number(RefuseSeq, -1, math.MinInt64)})},
	{"answer to sample_infohashes", response(tree{"samples": chars(40), "num": int64(2), "interval": int64(300)}),
		responseFields(
			field{"r.samples", nil, whole(20, RefuseSamples)}, field{"r.num", nil, number(RefuseNum, -1, math.MinInt64)},
			field{"r.interval", nil, number(RefuseInterval, -1, MaxInterval+1, math.MaxInt64)})},
	{"error", tree{"y": "e", "t": "aa", "ro": int64(0), "v": "SH01", "ip": chars(6), "e": []any{int64(203), "no"}},
		envelopes(field{"e", RefuseError, all(RefuseError, anInt, "", "x", aDict, []any{}, []any{int64(203)}, []any{"203", "no"}, []any{int64(-1), "no"},
			[]any{int64(math.MaxInt32 + 1), "no"}, []any{int64(203), int64(203)}, []any{int64(203), []any{}}, []any{[]any{}, "no"})})},
}

// Every field of every message missing, of a wrong type, too long or too
// short: refused, each for its own reason, and answerable if it is a query
// that can be answered.
func TestEveryField(t *testing.T) {
	count := 0
	for _, test := range wholeMessages {
		check := func(what string, m tree, want *Refusal) {
			t.Helper()
			count++
			var got Message
			packet := bencode.MustMarshal(m)
			r := got.Parse(packet)
			if r != want {
				t.Errorf("%s, %s: %v, want %v\n%.200q", test.name, what, r, want, packet)
			}
			isQuery := m["y"] == "q" && want != RefuseBencode && want != RefuseTransaction
			if got.Answerable() != isQuery {
				t.Errorf("%s, %s: answerable %v", test.name, what, got.Answerable())
			}
		}
		check("whole", test.m, nil)
		for _, f := range test.fields {
			check("without "+f.path, changed(test.m, f.path, nil), f.absent)
			for _, w := range f.wrong {
				check(f.path+" wrong", changed(test.m, f.path, w.value), w.want)
			}
		}
		if missing := untested(test.m, test.fields); len(missing) > 0 {
			t.Errorf("%s: no test of %v", test.name, missing)
		}
	}
	t.Logf("%d packets", count)
}

// changed returns a copy of m in which the field has another value, or is
// missing if the value is nil.
func changed(m tree, path string, value any) tree {
	key, rest, isInside := strings.Cut(path, ".")
	m = maps.Clone(m)
	switch {
	case isInside:
		m[key] = changed(m[key].(tree), rest, value)
	case value == nil:
		delete(m, key)
	default:
		m[key] = value
	}
	return m
}

// untested returns the fields of m that the table forgot.
func untested(m tree, fields []field) (missing []string) {
	has := func(path string) bool {
		return slices.ContainsFunc(fields, func(f field) bool { return f.path == path })
	}
	for key, value := range m {
		if !has(key) {
			missing = append(missing, key)
		}
		inner, _ := value.(tree)
		for innerKey := range inner {
			if !has(key + "." + innerKey) {
				missing = append(missing, key+"."+innerKey)
			}
		}
	}
	return missing
}
