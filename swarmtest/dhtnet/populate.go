package dhtnet

import (
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// Grow adds count hosts that join one after the other during the time from
// now. spec says what each is, but for its Join; nil means honest ones.
func (n *Network) Grow(count int, during time.Duration, spec func(i int) Spec) error {
	for i := range count {
		var each Spec
		if spec != nil {
			each = spec(i)
		}
		each.Join = n.kernel.Now() + during*time.Duration(i)/time.Duration(count)
		if _, err := n.Add(each); err != nil {
			return err
		}
	}
	return nil
}

// SilenceSome silences a share of the hosts that are alive, drawn at random.
// Routers stay.
func (n *Network) SilenceSome(share float64) {
	for _, h := range n.hosts[min(numRouters, len(n.hosts)):] {
		if h.Node() != nil && n.rnd.Float64() < share {
			h.Silence()
		}
	}
}

// Any draws an honest host that is alive and serves, of which there must be
// one.
func (n *Network) Any() *Host {
	for {
		if h := n.hosts[n.rnd.IntN(len(n.hosts))]; h.Serves() && h.Honest() {
			return h
		}
	}
}

// RandomID draws a target.
func (n *Network) RandomID() (id krpc.ID) {
	for i := range id {
		id[i] = byte(n.rnd.Uint32())
	}
	return id
}
