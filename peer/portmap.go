package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/huin/goupnp/dcps/internetgateway2"
	natpmp "github.com/jackpal/go-nat-pmp"
)

const (
	// mappingLease is how long a router keeps a mapping that is not renewed:
	// after a crash it goes away by itself. RFC 6886 recommends "two hours".
	mappingLease = 2 * time.Hour

	// mapAgain is when a router is asked again after it refused or none was
	// found: routers restart, and laptops move.
	mapAgain = 15 * time.Minute

	// routerTimeout bounds one attempt, unmapTimeout the last one: nobody
	// wants to wait for a router when a program ends.
	routerTimeout = 10 * time.Second
	unmapTimeout  = 2 * time.Second
)

// router is a router in front of us that can be asked to forward a port of one
// protocol, TCP or UDP.
type router interface {
	// mapPort asks for the same port outside as inside, for the time of the
	// lease. It returns the lease that was given, 0 for one without an end.
	mapPort(ctx context.Context, port int, lease time.Duration) (time.Duration, error)
	// unmapPort takes it back.
	unmapPort(ctx context.Context, port int) error
}

// routers are the two protocols by which a router can be asked, the quicker one
// first.
func routers(protocol string) []router {
	return []router{pmpRouter{protocol}, &upnpRouter{protocol: protocol}}
}

// keepMapped keeps a port mapped by the first of the routers that does it, until
// the client closes.
func (c *Client) keepMapped(port int, routers []router) {
	for {
		active, wait := c.mapOnce(port, routers)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.closing.Done():
			timer.Stop()
			c.unmap(port, active)
			return
		}
	}
}

// mapOnce maps the port and says by whom, nil if nobody does it, and when to do
// it again.
func (c *Client) mapOnce(port int, routers []router) (active router, again time.Duration) {
	for _, r := range routers {
		ctx, cancel := context.WithTimeout(c.closing, routerTimeout)
		lease, err := r.mapPort(ctx, port, mappingLease)
		cancel()
		if err != nil {
			c.log.Debug("port not mapped", "err", err)
			continue
		}
		c.log.Debug("port mapped", "port", port, "lease", lease)
		if lease <= 0 || lease > mappingLease {
			lease = mappingLease
		}
		return r, max(lease/2, time.Minute)
	}
	return nil, mapAgain
}

func (c *Client) unmap(port int, active router) {
	if active == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), unmapTimeout)
	defer cancel()
	if err := active.unmapPort(ctx, port); err != nil {
		c.log.Debug("port not unmapped", "err", err)
	}
}

// upnpRouter is a router that speaks UPnP.
type upnpRouter struct {
	protocol string        // "TCP" or "UDP"
	services []upnpService // found by the first mapPort, and again after an error
}

// upnpService is what we use of the three services of a router that can map a
// port.
type upnpService interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string,
		internalPort uint16, internalClient string, enabled bool, description string, leaseSeconds uint32) error
	DeletePortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string) error
	LocalAddr() net.IP
}

func (r *upnpRouter) mapPort(ctx context.Context, port int, lease time.Duration) (time.Duration, error) {
	if len(r.services) == 0 {
		r.services = findUPnP(ctx)
	}
	errs := []error{errors.New("UPnP: no router does it")}
	for _, s := range r.services {
		lease, err := addUPnP(ctx, s, r.protocol, port, lease)
		if err == nil {
			r.services = []upnpService{s}
			return lease, nil
		}
		errs = append(errs, err)
	}
	r.services = nil
	return 0, errors.Join(errs...)
}

// addUPnP maps the port with a lease, or else without: old routers know only
// mappings without an end (error 725, OnlyPermanentLeasesSupported).
func addUPnP(ctx context.Context, s upnpService, protocol string, port int, lease time.Duration) (time.Duration, error) {
	local := s.LocalAddr()
	if local == nil {
		return 0, errors.New("UPnP: our own address is not known")
	}
	var err error
	for _, lease := range []time.Duration{lease, 0} {
		err = s.AddPortMappingCtx(ctx, "", uint16(port), protocol, uint16(port), local.String(), true,
			"Shoal", uint32(lease/time.Second))
		if err == nil {
			return lease, nil
		}
	}
	return 0, fmt.Errorf("UPnP: %w", err)
}

func (r *upnpRouter) unmapPort(ctx context.Context, port int) error {
	var errs []error
	for _, s := range r.services {
		errs = append(errs, s.DeletePortMappingCtx(ctx, "", uint16(port), r.protocol))
	}
	return errors.Join(errs...)
}

// findUPnP asks the local network for routers. The errors are of single
// devices, of no use to anybody.
func findUPnP(ctx context.Context) (services []upnpService) {
	ip2, _, _ := internetgateway2.NewWANIPConnection2ClientsCtx(ctx)
	for _, s := range ip2 {
		services = append(services, s)
	}
	ip1, _, _ := internetgateway2.NewWANIPConnection1ClientsCtx(ctx)
	for _, s := range ip1 {
		services = append(services, s)
	}
	ppp, _, _ := internetgateway2.NewWANPPPConnection1ClientsCtx(ctx)
	for _, s := range ppp {
		services = append(services, s)
	}
	return services
}

// pmpRouter is the default gateway, spoken to by NAT-PMP (RFC 6886). Its calls
// end by a time-out of their own.
type pmpRouter struct {
	protocol string // "TCP" or "UDP"
}

func (r pmpRouter) mapPort(ctx context.Context, port int, lease time.Duration) (time.Duration, error) {
	client, err := pmpClient(ctx)
	if err != nil {
		return 0, err
	}
	got, err := client.AddPortMapping(strings.ToLower(r.protocol), port, port, int(lease/time.Second))
	if err != nil {
		return 0, fmt.Errorf("NAT-PMP: %w", err)
	}
	if int(got.MappedExternalPort) != port {
		// Others were told our own port; one that differs helps nobody.
		client.AddPortMapping(strings.ToLower(r.protocol), port, 0, 0)
		return 0, fmt.Errorf("NAT-PMP: port %d is taken by another host", port)
	}
	return time.Duration(got.PortMappingLifetimeInSeconds) * time.Second, nil
}

func (r pmpRouter) unmapPort(ctx context.Context, port int) error {
	client, err := pmpClient(ctx)
	if err == nil {
		_, err = client.AddPortMapping(strings.ToLower(r.protocol), port, 0, 0)
	}
	return err
}

// pmpClient returns a client whose calls end with ctx's deadline.
func pmpClient(ctx context.Context) (*natpmp.Client, error) {
	gateway, err := defaultGateway()
	if err != nil {
		return nil, fmt.Errorf("NAT-PMP: %w", err)
	}
	timeout := routerTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline)/2, time.Millisecond)
	}
	return natpmp.NewClientWithTimeout(gateway.AsSlice(), timeout), nil
}

// defaultGateway is the IPv4 address of the router, where the system tells: on
// Linux. Elsewhere UPnP has to do.
func defaultGateway() (netip.Addr, error) {
	file, err := os.Open("/proc/net/route")
	if err != nil {
		return netip.Addr{}, err
	}
	defer file.Close()
	return parseRoutes(file)
}

// parseRoutes returns the gateway of the default route in a table as Linux
// prints it: fields "interface destination gateway ...", where addresses are in
// hexadecimal, of the machine's byte order.
func parseRoutes(r io.Reader) (netip.Addr, error) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[1] != "00000000" || fields[2] == "00000000" {
			continue
		}
		if b, err := hex.DecodeString(fields[2]); err == nil && len(b) == 4 {
			var ip [4]byte
			binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(b))
			return netip.AddrFrom4(ip), nil
		}
	}
	return netip.Addr{}, errors.New("there is no default route")
}
