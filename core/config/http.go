package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// HTTP is about everything on the port that is not a socket, and about what
// every request has to pass, a socket's first one too.
type HTTP struct {
	AppURL          string        `koanf:"app_url" doc:"base of the links that people open, for invites and for signing in, such as https://mesh.example.org. Invites carry public_url all the same: set that too. Empty: made from public_url, else from listen"`
	TrustedProxies  []string      `koanf:"trusted_proxies" doc:"addresses and networks, such as 10.0.0.0/8, of the reverse proxies whose X-Forwarded-For is believed. Empty: nobody's, so that all who come through a proxy share its limits"`
	CORSOrigins     []string      `koanf:"cors_origins" doc:"origins of the web pages that may call this broker, such as https://app.example.org, or only: *. Empty: none"`
	PerAddress      Limit         `koanf:"per_address" doc:"requests from one network address, sockets that are opened among them and health routes not: a rate such as 600/min, or off. An IPv6 address counts by its /64. Whoever connects from this machine, and through no proxy, is not limited"`
	PerAddressBurst int           `koanf:"per_address_burst" limit:"1..1000000" doc:"requests that may come at once from one address after a pause"`
	PerToken        Limit         `koanf:"per_token" doc:"requests with one token, from wherever they come: a rate such as 600/min, or off"`
	PerTokenBurst   int           `koanf:"per_token_burst" limit:"1..1000000" doc:"requests that may come at once with one token after a pause"`
	Guesses         Limit         `koanf:"guesses" doc:"refused attempts of one network address at what could be guessed: invites, codes, tokens. A rate such as 30/min, or off. Beyond it the address has to wait, whether it is right or not"`
	GuessesBurst    int           `koanf:"guesses_burst" limit:"1..1000000" doc:"refused attempts that may come at once from one address after a pause"`
	HookOpen        bool          `koanf:"hook_open" doc:"let the status hook be called without a token, as the original broker does: whoever reaches the port can then set the status of a session whose process or directory they guess"`
	HookRate        Limit         `koanf:"hook_rate" doc:"calls of the status hook for one process and directory: a rate such as 30/min, or off. As many may come at once after a pause as the rate has in its time"`
	TokenTTL        time.Duration `koanf:"token_ttl" limit:"1m..87600h" doc:"how long a token that somebody signed in with is good"`
	CreateMeshes    Who           `koanf:"create_meshes" one:"anyone|nobody" doc:"who may create a mesh over HTTP. anyone: any account that is signed in. nobody: meshes are made on the broker's machine only"`
	SyncSecret      Secret        `koanf:"sync_secret" doc:"key that a web application signs with who signed in there, at least 32 bytes. Better set in the environment than in a file. Empty: no such application is believed"`
	Claims          bool          `koanf:"claims" doc:"let invites be claimed by their short code"`
	OpsListen       string        `koanf:"ops_listen" doc:"a second address, as host:port, for /metrics, /health, /health/ready and /version only. When it is set, /metrics is not served on the public port"`
	HeaderTimeout   time.Duration `koanf:"header_timeout" limit:"100ms..5m" doc:"a connection whose request line and headers have not arrived whole by then is closed"`
	ReadTimeout     time.Duration `koanf:"read_timeout" limit:"100ms..1h" doc:"a connection whose request has not arrived whole by then, its body too, is closed"`
	WriteTimeout    time.Duration `koanf:"write_timeout" limit:"100ms..1h" doc:"a connection whose answer is not written by then, counted from the end of its request's headers, is closed. Not of sockets"`
	IdleTimeout     time.Duration `koanf:"idle_timeout" limit:"100ms..1h" doc:"a connection without a request is closed after this"`
}

// Who says who may do something over HTTP.
type Who string

// Who may do something over HTTP.
const (
	Anyone Who = "anyone" // whoever is signed in
	Nobody Who = "nobody"
)

// AnyOrigin in [HTTP].CORSOrigins stands for every origin.
const AnyOrigin = "*"

func defaultHTTP() HTTP {
	perMinute := func(n int) Limit { return Limit{Rate{n, time.Minute}} }
	return HTTP{
		TrustedProxies:  []string{},
		CORSOrigins:     []string{},
		PerAddress:      perMinute(6000), // a fleet behind one address comes back after a restart
		PerAddressBurst: 2000,
		PerToken:        perMinute(600),
		PerTokenBurst:   200,
		Guesses:         perMinute(30),
		GuessesBurst:    30,
		HookRate:        perMinute(30),
		TokenTTL:        30 * 24 * time.Hour,
		CreateMeshes:    Anyone,
		Claims:          true,
		HeaderTimeout:   10 * time.Second,
		ReadTimeout:     30 * time.Second,
		WriteTimeout:    30 * time.Second,
		IdleTimeout:     2 * time.Minute,
	}
}

// Links returns the base of the links that people open, without a slash at its
// end. publicURL is the WebSocket URL under which others reach the broker; it
// counts when no app_url is set.
func (h HTTP) Links(publicURL string) string {
	if h.AppURL != "" {
		return strings.TrimRight(h.AppURL, "/")
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	u.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/ws")
	u.RawPath, u.RawQuery, u.Fragment = "", "", ""
	return strings.TrimRight(u.String(), "/")
}

// Proxies returns the networks of the trusted proxies. What is no network, which
// [Load] does not let through, is left out.
func (h HTTP) Proxies() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range h.TrustedProxies {
		if network, ok := parseNetwork(text); ok {
			networks = append(networks, network)
		}
	}
	return networks
}

// parseNetwork reads an address or a CIDR. An IPv4 network written as IPv6 is
// taken for what it is.
func parseNetwork(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// minSecret is how long a key for HMAC-SHA-256 must be: as long as the hash.
const minSecret = 32

// http holds what no tag can say about the section.
func (l *loader) http(c *Config) {
	h := &c.HTTP
	if h.AppURL != "" && !isWebURL(h.AppURL) {
		l.invalid([]string{"http.app_url"}, "must be an http or https URL without a query, such as https://mesh.example.org; got %s", show(h.AppURL))
	}
	for i, text := range h.TrustedProxies {
		if _, ok := parseNetwork(text); !ok {
			l.invalid([]string{index("http.trusted_proxies", i), "http.trusted_proxies"}, "must be an address or a network, such as 192.0.2.7 or 10.0.0.0/8; got %s", show(text))
		}
	}
	for i, text := range h.CORSOrigins {
		key := []string{index("http.cors_origins", i), "http.cors_origins"}
		switch want := origin(text); {
		case text == AnyOrigin && len(h.CORSOrigins) > 1:
			l.invalid(key, "* stands alone: it means every origin")
		case text == AnyOrigin || want == text:
		case want != "":
			l.invalid(key, "must be an origin as browsers send it; write %s instead of %s", show(want), show(text))
		default:
			l.invalid(key, "must be an origin, such as https://app.example.org or http://localhost:3000, or *; got %s", show(text))
		}
	}
	if n := len(h.SyncSecret.Reveal()); n > 0 && n < minSecret {
		l.invalid([]string{"http.sync_secret"}, "must have at least %d bytes, such as openssl rand -hex 32 prints; it has %d", minSecret, n)
	}
	switch {
	case h.OpsListen == "":
	case !isAddress(h.OpsListen):
		l.invalid([]string{"http.ops_listen"}, "must be host:port, such as 127.0.0.1:7901; got %s", show(h.OpsListen))
	case h.OpsListen == c.Listen && !strings.HasSuffix(c.Listen, ":0"):
		l.invalid([]string{"http.ops_listen", "listen"}, "is the same as listen, and must be another address")
	}
	if h.HeaderTimeout > h.ReadTimeout {
		l.invalid([]string{"http.header_timeout", "http.read_timeout"}, "is %s, and must not be above http.read_timeout (%s), which covers it",
			duration(h.HeaderTimeout), duration(h.ReadTimeout))
	}
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		!strings.ContainsAny(text, "?#")
}

// origin returns text as a browser would send it in Origin, or nothing when it
// is no origin.
func origin(text string) string {
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !slices.Contains([]string{"", "/"}, u.Path) {
		return ""
	}
	host := u.Host
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":")
}
