package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo/bscan"
)

func dhtPutCommand() command {
	return command{
		name:    "dht put",
		summary: "store a value in the DHT",
		usage:   "[flags] VALUE\n[flags] --key-file FILE VALUE",
		about: `
VALUE is text, or with --bencode any bencoded value; at most 1000 bytes when it
is bencoded. Without a key the value cannot change: its target is its hash. With
--key-file it is signed, found by the public key, and replaced by a later put
(BEP 44). A key file that is not there is made; keep it, and keep it secret.
Nodes forget values after two hours or so, so repeat it.`,
		example: "shoal dht put --key-file blog.key --salt motd \"back on Monday\"",
		new:     func() runner { return new(dhtPutRun) },
	}
}

type dhtPutRun struct {
	dhtOnce
	keyFile string
	salt    string
	seq     optionalInt
	cas     optionalInt
	bencode bool
}

func (r *dhtPutRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.bencode, "bencode", false, "VALUE is bencoded, as in li1ei2ee")
	fs.Var((*neededText)(&r.keyFile), "key-file", "sign the value by the private key in `FILE`, which is made if it is missing")
	fs.StringVar(&r.salt, "salt", "", "`TEXT` tells several values of one key apart")
	fs.Var(&r.seq, "seq", "the value's sequence number (default: one more than that of the stored value)")
	fs.Var(&r.cas, "cas", "replace the stored value only where its sequence number is this one")
	r.dhtOnce.flags(fs)
}

// dhtPutJSON is what "shoal dht put --json" prints.
type dhtPutJSON struct {
	itemJSON
	storedJSON
	lookedUp
}

func (r *dhtPutRun) check() error {
	switch {
	case r.keyFile == "" && (r.salt != "" || r.seq.set || r.cas.set):
		return usagef("--salt, --seq and --cas are for a value that can change: name its key with --key-file")
	case r.seq.set && r.seq.n < 0:
		return usagef("--seq %d is negative", r.seq.n)
	case r.cas.set && r.cas.n < 0:
		return usagef("--cas %d is negative", r.cas.n)
	}
	if err := checkSalt(r.salt); err != nil {
		return err
	}
	return r.dhtOnce.check()
}

// value returns the bencoded value that args name.
func (r *dhtPutRun) value(args []string) ([]byte, error) {
	if len(args) != 1 {
		return nil, usagef("name one value, in quotes if it has spaces")
	}
	value := []byte(args[0])
	if !r.bencode {
		value = append(strconv.AppendInt(nil, int64(len(value)), 10), ":"+args[0]...)
	} else if _, err := bscan.Strict(value, bscan.Limits{}); err != nil {
		return nil, usagef("%q is not bencoded: %v", shorten(args[0]), err)
	}
	if len(value) > krpc.MaxValueLen {
		return nil, usagef("the value has %d bytes when it is bencoded; %d are the most", len(value), krpc.MaxValueLen)
	}
	return value, nil
}

func (r *dhtPutRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	value, err := r.value(args)
	if err != nil {
		return err
	}
	item := &node.Item{Value: value}
	var key ed25519.PrivateKey
	if r.keyFile != "" {
		if key, err = loadKey(r.keyFile); err != nil {
			return err
		}
	}
	return r.withNode(ctx, e, func(ctx context.Context, s *dht.Server) error {
		if key != nil {
			if err := r.sign(ctx, s, item, key); err != nil {
				return r.tooShort(err)
			}
		}
		return r.put(ctx, e, s, item)
	})
}

// sign makes item mutable. Its seq is one more than that of the stored value,
// unless both are the same: then it is only kept alive.
func (r *dhtPutRun) sign(ctx context.Context, s *dht.Server, item *node.Item, key ed25519.PrivateKey) error {
	item.Key, item.Salt = key.Public().(ed25519.PublicKey), []byte(r.salt)
	item.Seq, item.CAS, item.HasCAS = r.seq.n, r.cas.n, r.cas.set
	if !r.seq.set {
		stored, _, _, err := r.newest(ctx, s, target(item), item.Salt)
		switch {
		case err != nil:
			return err
		case stored == nil:
			item.Seq = 1
		case string(stored.Value) == string(item.Value):
			item.Seq = stored.Seq
		case stored.Seq == math.MaxInt64:
			return fmt.Errorf("the stored value has the highest seq that there is; it cannot be replaced")
		default:
			item.Seq = stored.Seq + 1
		}
	}
	item.Sig = ed25519.Sign(key, krpc.AppendSigned(nil, item.Salt, item.Seq, item.Value))
	return nil
}

// target is where item belongs.
func target(item *node.Item) krpc.ID {
	if item.Key == nil {
		return krpc.ImmutableTarget(item.Value)
	}
	return krpc.MutableTarget(item.Key, item.Salt)
}

func (r *dhtPutRun) put(ctx context.Context, e *env, s *dht.Server, item *node.Item) error {
	result, took, err := r.lookUp(ctx, s, node.Request{Method: krpc.Get, Target: target(item), Store: true, Item: item}, nil)
	switch {
	case err != nil:
		return r.tooShort(err)
	case result.Stored == 0 && result.Refused > 0:
		return r.refusal(item, result)
	case result.Stored == 0:
		return notFoundf("no node took the value")
	}
	return r.print(e, item, result, took)
}

// refusal says what nodes have against the value.
func (r *dhtPutRun) refusal(item *node.Item, result node.Result) error {
	nodes := count(result.Refused, "node")
	switch why := result.Refusal; {
	case why == nil:
		return fmt.Errorf("%s refused the value", nodes)
	case why.Code == krpc.CodeCASMismatch:
		return fmt.Errorf("%s refused the value: the seq of the stored one is not %d (--cas)", nodes, r.cas.n)
	case why.Code == krpc.CodeSeqTooLow:
		return fmt.Errorf("%s refused the value: one with a higher seq than %d is stored; leave out --seq for the next one", nodes, item.Seq)
	default:
		return fmt.Errorf("%s refused the value: error %d, %q", nodes, why.Code, why.Text)
	}
}

func (r *dhtPutRun) print(e *env, item *node.Item, result node.Result, took lookedUp) error {
	out := dhtPutJSON{newItemJSON(target(item), r.salt, item), storedJSON{result.Stored, result.Refused}, took}
	if r.json {
		return e.printJSON(out)
	}
	printField(e, "target", out.Target)
	printField(e, "key", out.Key)
	printField(e, "salt", out.Salt)
	if out.Seq != nil {
		printField(e, "seq", strconv.FormatInt(*out.Seq, 10))
	}
	printField(e, "stored", "on "+count(result.Stored, "node"))
	e.logf("%s", lookupText(result, took))
	return nil
}
