package main

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo/bscan"
)

func dhtGetCommand() command {
	return command{
		name:    "dht get",
		summary: "get a value that is stored in the DHT",
		usage:   "[flags] TARGET\n[flags] --key KEY",
		about: `
TARGET is what "shoal dht put" printed: 40 hexadecimal digits. A value that can
change is found by its public key, 64 digits, and its salt if it has one; of
several the newest is printed (BEP 44). Text is printed as text, with
what a terminal obeys as an escape; --raw writes the bytes as they are stored.`,
		example: "shoal dht get e5f96f6f38320f0f33959cb4d3d656452117aadb",
		new:     func() runner { return new(dhtGetRun) },
	}
}

type dhtGetRun struct {
	dhtOnce
	key  string
	salt string
	raw  bool
}

func (r *dhtGetRun) flags(fs *pflag.FlagSet) {
	fs.Var((*neededText)(&r.key), "key", "get the mutable value of the public key `KEY`")
	fs.StringVar(&r.salt, "salt", "", "the value's salt is `TEXT`")
	fs.BoolVar(&r.raw, "raw", false, "write the bencoded value to stdout, byte for byte")
	r.dhtOnce.flags(fs)
}

// itemJSON says which item a value is.
type itemJSON struct {
	Target string `json:"target"`
	Key    string `json:"key,omitempty"`
	Salt   string `json:"salt,omitempty"`
	Seq    *int64 `json:"seq,omitempty"`
}

func newItemJSON(target krpc.ID, salt string, item *node.Item) itemJSON {
	if item.Key == nil {
		return itemJSON{Target: target.String()}
	}
	return itemJSON{target.String(), hex.EncodeToString(item.Key), salt, &item.Seq}
}

// dhtGetJSON is what "shoal dht get --json" prints.
type dhtGetJSON struct {
	itemJSON
	ValueHex string  `json:"value_hex"`
	Text     *string `json:"text,omitempty"`
	From     string  `json:"from"`
	Seconds  float64 `json:"seconds"`
}

func (r *dhtGetRun) target(args []string) (krpc.ID, error) {
	if r.key == "" {
		return parseID("a target", args)
	}
	if len(args) > 0 {
		return krpc.ID{}, usagef("a value is found by its TARGET or by --key, not by both")
	}
	key, err := parseHex("a public key", r.key, krpc.KeyLen)
	return krpc.MutableTarget(key, []byte(r.salt)), err
}

func (r *dhtGetRun) check() error {
	if r.raw && r.json {
		return usagef("--raw and --json exclude each other")
	}
	if err := checkSalt(r.salt); err != nil {
		return err
	}
	return r.dhtOnce.check()
}

func checkSalt(salt string) error {
	if len(salt) > krpc.MaxSaltLen {
		return usagef("--salt has %d bytes; %d are the most", len(salt), krpc.MaxSaltLen)
	}
	return nil
}

func (r *dhtGetRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	target, err := r.target(args)
	if err != nil {
		return err
	}
	return r.withNode(ctx, e, func(ctx context.Context, s *dht.Server) error {
		item, from, took, err := r.newest(ctx, s, target, []byte(r.salt))
		switch {
		case item != nil && (err == nil || timedOut(err)):
			return r.print(e, target, item, from, took)
		case err != nil:
			return r.tooShort(err)
		}
		return notFoundf("no value of %s was found", target)
	})
}

// newest looks an item up; it is nil if there is none. An immutable item is
// all there is to find, so the first ends the lookup.
func (f *dhtOnce) newest(ctx context.Context, s *dht.Server, target krpc.ID, salt []byte) (item *node.Item, from netip.AddrPort, took lookedUp, err error) {
	lookup, cancel := context.WithCancel(ctx)
	defer cancel()
	req := node.Request{Method: krpc.Get, Target: target, Item: &node.Item{Salt: salt}}
	_, took, err = f.lookUp(lookup, s, req, func(addr netip.AddrPort, reply node.Reply) {
		switch {
		case reply.Item == nil:
		case reply.Item.Key == nil:
			item, from = reply.Item, addr
			cancel()
		case item == nil || reply.Item.Seq > item.Seq:
			item, from = reply.Item, addr
		}
	})
	if item != nil && lookup.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return item, from, took, err
}

func (r *dhtGetRun) print(e *env, target krpc.ID, item *node.Item, from netip.AddrPort, took lookedUp) error {
	switch {
	case r.raw:
		_, err := e.stdout.Write(item.Value)
		return err
	case r.json:
		return e.printJSON(r.result(target, item, from, took))
	}
	e.printf("%s\n", formatValue(item.Value))
	if item.Key != nil {
		e.logf("seq %d, signed by %x, from %s", item.Seq, item.Key, from)
	} else {
		e.logf("from %s", from)
	}
	return nil
}

func (r *dhtGetRun) result(target krpc.ID, item *node.Item, from netip.AddrPort, took lookedUp) dhtGetJSON {
	out := dhtGetJSON{
		itemJSON: newItemJSON(target, r.salt, item), ValueHex: hex.EncodeToString(item.Value), From: from.String(), Seconds: took.Seconds,
	}
	if text, ok := textOf(item.Value); ok {
		out.Text = &text
	}
	return out
}

// textOf returns what a bencoded string of UTF-8 says.
func textOf(value []byte) (string, bool) {
	v, err := bscan.Strict(value, bscan.Limits{})
	s, ok := v.Str()
	return string(s), err == nil && ok && utf8.Valid(s)
}

// formatValue writes a bencoded value for people: text alone as it is, the rest
// much as JSON has it, and strings that are no text as x"c0ffee". Whatever a
// stranger put there, it is safe for a terminal.
func formatValue(value []byte) string {
	if text, ok := textOf(value); ok {
		return printable(text)
	}
	v, _, err := bscan.Scan(value, bscan.Limits{})
	if err != nil {
		return formatBytes(value)
	}
	return string(appendValue(nil, v))
}

// appendValue recurses as deep as bscan allows.
func appendValue(b []byte, v bscan.Value) []byte {
	switch v.Kind() {
	case bscan.Int:
		digits := v.Bytes()
		return append(b, digits[1:len(digits)-1]...)
	case bscan.List:
		separator := "["
		for element := range v.List() {
			b = appendValue(append(b, separator...), element)
			separator = ", "
		}
		return append(b, closing(separator, "[]")...)
	case bscan.Dict:
		separator := "{"
		for key, element := range v.Dict() {
			b = append(append(b, separator...), formatBytes(key)...)
			b = appendValue(append(b, ": "...), element)
			separator = ", "
		}
		return append(b, closing(separator, "{}")...)
	}
	s, _ := v.Str()
	return append(b, formatBytes(s)...)
}

// closing ends a list or dictionary, which has not begun if it is empty.
func closing(separator, pair string) string {
	if separator == ", " {
		return pair[1:]
	}
	return pair
}

// formatBytes quotes text, and writes anything else in hexadecimal digits.
func formatBytes(s []byte) string {
	if utf8.Valid(s) {
		return `"` + printable(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(s))) + `"`
	}
	return `x"` + hex.EncodeToString(s) + `"`
}

// optionalInt is a number that may be left out: a pflag.Value.
type optionalInt struct {
	n   int64
	set bool
}

func (o *optionalInt) Type() string { return "N" }

func (o *optionalInt) String() string {
	if !o.set {
		return ""
	}
	return strconv.FormatInt(o.n, 10)
}

func (o *optionalInt) Set(text string) (err error) {
	o.n, err = strconv.ParseInt(text, 10, 64)
	o.set = true
	return err
}

// neededText is a text that cannot be empty, such as "$KEY" with a variable that
// is not set: a pflag.Value.
type neededText string

func (t *neededText) Type() string   { return "string" }
func (t *neededText) String() string { return string(*t) }

func (t *neededText) Set(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	*t = neededText(text)
	return nil
}
