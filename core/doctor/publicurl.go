package doctor

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"
)

// certificateTime is how long before its end a certificate is worth a look.
const certificateTime = 14 * 24 * time.Hour

// publicURL looks whether others reach the broker by the URL in its invites. It
// only ever warns: a network that cannot be reached from inside is no fault.
func (r *round) publicURL(ctx context.Context) {
	text := r.Config.PublicURL
	host, _, _ := net.SplitHostPort(r.Config.Listen)
	switch {
	case text == "" && local(host):
		r.ok(CheckPublicURL, "not set: this machine alone reaches the broker")
		return
	case text == "":
		r.warn(CheckPublicURL, "set public_url, such as wss://mesh.example.org/ws", "not set: invites name an address that only this machine reaches")
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		r.warn(CheckPublicURL, "set public_url to a URL such as wss://mesh.example.org/ws", "it is no URL with a host")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	shown := u.Scheme + "://" + u.Host + u.Path // without what may be secret
	if _, err := r.Machine.Lookup(ctx, u.Hostname()); err != nil && net.ParseIP(u.Hostname()) == nil {
		r.warn(CheckPublicURL, "add the name to the DNS, or set public_url to one that is there", "%s: %v", shown, err)
		return
	}
	r.reach(ctx, u, shown)
}

// reach connects to the URL, with TLS where its scheme says so.
func (r *round) reach(ctx context.Context, u *url.URL, shown string) {
	secure := u.Scheme == "wss"
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[secure]
	}
	conn, err := r.Machine.Dial(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		r.warn(CheckPublicURL, "start what stands before the broker, open the port, or ignore this if the address cannot be reached from inside", "%s: %v", shown, err)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	switch {
	case secure:
		r.certificate(ctx, conn, u.Hostname(), shown)
	case !local(u.Hostname()):
		r.warn(CheckPublicURL, "put a reverse proxy with TLS before the broker, and set public_url to its wss:// URL",
			"%s is reached, without TLS: tokens and invites travel in the clear", shown)
	default:
		r.ok(CheckPublicURL, "%s is reached", shown)
	}
}

func (r *round) certificate(ctx context.Context, conn net.Conn, host, shown string) {
	c := r.Machine.Roots.Clone()
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.ServerName = host
	secured := tls.Client(conn, c)
	if err := secured.HandshakeContext(ctx); err != nil {
		r.warn(CheckPublicURL, "put a reverse proxy with a certificate for "+host+" before the broker (it has no TLS of its own), or set public_url to ws://",
			"%s: no TLS there that peers accept: %v", shown, err)
		return
	}
	end := secured.ConnectionState().PeerCertificates[0].NotAfter
	if left := end.Sub(r.Machine.Now()); left < certificateTime {
		r.warn(CheckPublicURL, "renew the certificate", "%s is reached, and its certificate ends on %s", shown, end.Format(time.DateOnly))
		return
	}
	r.ok(CheckPublicURL, "%s is reached, its certificate is good until %s", shown, end.Format(time.DateOnly))
}

// local reports whether only this machine reaches a host.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// proxies looks at whose word on addresses is taken.
func (r *round) proxies() {
	u, err := url.Parse(r.Config.PublicURL)
	behind := err == nil && u.Scheme == "wss" // the broker has no TLS itself
	trusted := r.Config.HTTP.Proxies()
	for _, network := range trusted {
		if network.Bits() == 0 {
			r.warn(CheckProxies, "list the proxies' own addresses in http.trusted_proxies", "%s trusts everybody's X-Forwarded-For: whoever sends it chooses the address that limits count by", network)
			return
		}
	}
	switch {
	case behind && len(trusted) == 0:
		r.warn(CheckProxies, "list the reverse proxy's address in http.trusted_proxies, such as 127.0.0.1",
			"public_url is wss://, so a proxy stands before the broker, and none is trusted: all peers share one address and its limits")
	case len(trusted) > 0:
		r.ok(CheckProxies, "%d network(s) trusted", len(trusted))
	default:
		r.ok(CheckProxies, "none")
	}
}
