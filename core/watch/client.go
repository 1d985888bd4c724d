package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// Limits of one look.
const (
	patience      = 10 * time.Second // for all of it, redirects too
	redirects     = 5
	bodyBytes     = 1 << 20
	headerBytes   = 64 << 10
	dialAddresses = 4 // of one name that are tried
)

// agent says who asks.
const agent = "claudemesh-broker-watch"

// Errors of looks, for the member that asked.
var (
	errRedirects = fmt.Errorf("it redirects more than %d times", redirects)
	errBody      = fmt.Errorf("the answer has more than %d bytes", bodyBytes)
	errName      = errors.New("the name cannot be resolved")
	errDial      = errors.New("nothing answers there")
	errTime      = fmt.Errorf("no whole answer within %s", patience)
	errAnswer    = errors.New("the answer is no HTTP, or ended early")
)

// Client asks the world outside. It may be used by many goroutines at once.
type Client struct {
	allow   []netip.Prefix // reached although they are not public
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	http    *http.Client
}

// NewClient returns a client that reaches public addresses and those of the
// networks allow. It goes through no proxy, and keeps no connection: each address
// is checked when it is dialled, so that a name which leads elsewhere meanwhile, or
// a redirect, gains nothing.
func NewClient(allow []netip.Prefix) *Client {
	c := &Client{allow: allow, resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}}
	c.http = &http.Client{
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			DialContext: c.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: headerBytes,
		},
	}
	return c
}

// Answer is what a URL has answered.
type Answer struct {
	Status int
	Body   []byte
}

// Get asks for a URL. Errors are texts for the member that asked.
func (c *Client) Get(ctx context.Context, address string, headers map[string]string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, ErrHost
	}
	if err := c.Check(req.URL); err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", agent)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, worded(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // whatever became of it, the answer was read
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyBytes+1))
	switch {
	case err != nil:
		return nil, worded(ctx, err)
	case len(body) > bodyBytes:
		return nil, errBody
	}
	return &Answer{Status: res.StatusCode, Body: body}, nil
}

// worded turns an error into one that says nothing of the broker's own network.
func worded(ctx context.Context, err error) error {
	for _, known := range []error{ErrAddress, ErrPort, ErrScheme, ErrHost, ErrUser, errRedirects, errName} {
		if errors.Is(err, known) {
			return known
		}
	}
	if ctx.Err() != nil {
		return errTime
	}
	if errors.Is(err, errDial) {
		return errDial
	}
	return errAnswer
}

// redirect lets a request go on to another URL. What the member sends in headers
// is for the origin that it has named.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > redirects {
		return errRedirects
	}
	if err := c.Check(req.URL); err != nil {
		return err
	}
	req.Header.Del("Referer")
	if !sameOrigin(req.URL, via[0].URL) {
		req.Header = http.Header{"User-Agent": {agent}}
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// dial connects to an address that it has checked, and to no other.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, ErrHost
	}
	list, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if err := c.allowed(a, port); err != nil {
			return nil, err // one of several that are public is as bad
		}
	}
	var d net.Dialer
	for _, a := range list[:min(len(list), dialAddresses)] {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", errDial, err)
}

func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	list, err := c.resolve(ctx, host)
	if err != nil || len(list) == 0 {
		return nil, errName
	}
	return slices.Clone(list), nil
}
