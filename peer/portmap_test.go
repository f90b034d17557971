package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeRouter notes what is asked of it.
type fakeRouter struct {
	refuses  bool
	lease    time.Duration
	mapped   []time.Duration // when, since start
	unmapped int
	start    time.Time
}

func (r *fakeRouter) mapPort(_ context.Context, _ int, lease time.Duration) (time.Duration, error) {
	r.mapped = append(r.mapped, time.Since(r.start))
	if r.refuses {
		return 0, errors.New("refused")
	}
	return min(r.lease, lease), nil
}

func (r *fakeRouter) unmapPort(context.Context, int) error {
	r.unmapped++
	return nil
}

// TestPortMapping has one router that refuses and one that maps: the mapping is
// renewed in time, and removed in the end.
func TestPortMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		c := network.join(t, "10.0.0.1:1", Config{})
		refuses := &fakeRouter{refuses: true, start: time.Now()}
		maps := &fakeRouter{lease: time.Hour, start: time.Now()}
		c.tasks.Go(func() { c.keepMapped(6881, []router{refuses, maps}) })
		time.Sleep(100 * time.Minute)
		closeClient(t, c)
		want := []time.Duration{0, 30 * time.Minute, 60 * time.Minute, 90 * time.Minute}
		if !reflect.DeepEqual(maps.mapped, want) {
			t.Errorf("mapped at %v", maps.mapped)
		}
		if maps.unmapped != 1 || refuses.unmapped != 0 {
			t.Errorf("unmapped %d and %d times", maps.unmapped, refuses.unmapped)
		}
	})
}

// TestNoRouter asks again from time to time, and not too often.
func TestNoRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		c := network.join(t, "10.0.0.1:1", Config{})
		refuses := &fakeRouter{refuses: true, start: time.Now()}
		c.tasks.Go(func() { c.keepMapped(6881, []router{refuses}) })
		time.Sleep(mapAgain + time.Second)
		closeClient(t, c)
		if len(refuses.mapped) != 2 || refuses.unmapped != 0 {
			t.Errorf("asked at %v, unmapped %d times", refuses.mapped, refuses.unmapped)
		}
	})
}

// TestLoopbackIsNotMapped holds that a client bound to loopback asks nobody.
func TestLoopbackIsNotMapped(t *testing.T) {
	for cfg, want := range map[Config]bool{
		{MapPorts: true}:                 true,
		{}:                               false,
		{MapPorts: true, Port: -1}:       false,
		{MapPorts: true, Bind: loopback}: false,
		{MapPorts: true, Bind: netip.IPv6Loopback()}:             false,
		{MapPorts: true, Bind: netip.MustParseAddr("192.0.2.1")}: true,
	} {
		if got := cfg.mapsPorts(); got != want {
			t.Errorf("%+v: %v", cfg, got)
		}
	}
}

// fakeUPnP is a service that knows mappings without an end only.
type fakeUPnP struct{ calls []string }

func (s *fakeUPnP) AddPortMappingCtx(_ context.Context, _ string, externalPort uint16, protocol string,
	internalPort uint16, internalClient string, enabled bool, _ string, leaseSeconds uint32) error {
	if leaseSeconds > 0 {
		s.calls = append(s.calls, "refused")
		return errors.New("725 OnlyPermanentLeasesSupported")
	}
	if !enabled || externalPort != internalPort || protocol != "UDP" {
		return errors.New("not what was meant")
	}
	s.calls = append(s.calls, "mapped to "+internalClient)
	return nil
}

func (s *fakeUPnP) DeletePortMappingCtx(context.Context, string, uint16, string) error {
	s.calls = append(s.calls, "unmapped")
	return nil
}

func (s *fakeUPnP) LocalAddr() net.IP { return net.IPv4(192, 168, 1, 2) }

func TestUPnPWithoutLeases(t *testing.T) {
	s := &fakeUPnP{}
	r := &upnpRouter{protocol: "UDP", services: []upnpService{s}}
	lease, err := r.mapPort(t.Context(), 6881, time.Hour)
	if lease != 0 || err != nil {
		t.Errorf("lease %v, %v", lease, err)
	}
	if err := r.unmapPort(t.Context(), 6881); err != nil {
		t.Error(err)
	}
	if got := strings.Join(s.calls, ", "); got != "refused, mapped to 192.168.1.2, unmapped" {
		t.Errorf("calls: %s", got)
	}
}

func TestParseRoutes(t *testing.T) {
	const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	for name, test := range map[string]struct{ table, want string }{
		"a default route": {"eth0\t0000A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n", "192.168.1.1"},
		"none":            {"eth0\t0000A8C0\t00000000\t0001\n", "invalid IP"},
		"no gateway":      {"tun0\t00000000\t00000000\t0001\n", "invalid IP"},
		"damaged":         {"eth0\t00000000\txx\n\neth0\n", "invalid IP"},
	} {
		got, err := parseRoutes(strings.NewReader(header + test.table))
		if got.String() != test.want || (err == nil) != got.IsValid() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
