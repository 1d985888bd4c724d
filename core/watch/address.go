package watch

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
)

// Errors of addresses and URLs that the broker does not reach. They go to the
// member that asked, and say nothing of what an address would have answered.
var (
	ErrAddress = errors.New("the address is private, local or reserved: the broker looks at public ones, and at those that its operator allows in watch.allow")
	ErrPort    = errors.New("the port is neither 80 nor 443: the broker looks at others only where its operator allows the address in watch.allow")
	ErrScheme  = errors.New("the URL is neither http nor https")
	ErrHost    = errors.New("the URL has no host")
	ErrUser    = errors.New("the URL has a user or a password in it: send them in headers")
)

// global is all of IPv6 that is given out for the world to reach.
var global = netip.MustParsePrefix("2000::/3")

// reserved are the parts of IPv4, and of what is given out of IPv6, that lead
// somewhere else than to a public host (the registries of RFC 6890): private and
// local networks, cloud metadata, carrier NAT, documentation, benchmarks, multicast,
// and tunnels that carry another address inside.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.31.196.0/24"),
	netip.MustParsePrefix("192.52.193.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("192.175.48.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2620:4f:8000::/48"),
	netip.MustParsePrefix("3fff::/20"),
}

// public reports whether an address leads to a public host. IPv4 in the form of
// IPv6 must have been unmapped.
func public(a netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	return a.IsValid() && a.Zone() == "" && (a.Is4() || global.Contains(a)) && !slices.ContainsFunc(reserved, within)
}

// allowed reports why an address and a port may not be reached.
func (c *Client) allowed(a netip.Addr, port string) error {
	a = a.Unmap()
	switch {
	case a.Zone() == "" && slices.ContainsFunc(c.allow, func(p netip.Prefix) bool { return p.Contains(a) }):
		return nil
	case !public(a):
		return ErrAddress
	case port != "80" && port != "443":
		return ErrPort
	}
	return nil
}

// Check reports what is wrong with a URL, as far as its text tells: where its name
// leads is looked at again whenever it is asked for.
func (c *Client) Check(u *url.URL) error {
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return ErrScheme
	case u.Hostname() == "":
		return ErrHost
	case u.User != nil:
		return ErrUser
	case port == "":
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return ErrPort
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil // a name
	}
	return c.allowed(a, port)
}
