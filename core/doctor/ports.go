package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// ports looks whether the addresses are free, or already ours.
func (r *round) ports(ctx context.Context) {
	for _, each := range []struct{ key, address string }{
		{"listen", r.Config.Listen}, {"http.ops_listen", r.Config.HTTP.OpsListen}, {"console.listen", r.Config.Console.Listen},
	} {
		if each.address == "" {
			continue
		}
		ours := r.port(ctx, each.key, each.address)
		if ours && each.key == "listen" {
			r.ready(ctx, each.address)
		}
	}
}

// port looks at one address. It reports whether the broker that runs has it.
func (r *round) port(ctx context.Context, key, address string) (ours bool) {
	_, port, err := net.SplitHostPort(address)
	if err == nil && port == "0" {
		r.ok(key, "%s: a free port is picked at each start", address)
		return false
	}
	err = r.Machine.Listen(ctx, address)
	switch {
	case err == nil && r.running != nil:
		r.warn(key, "start the broker again, or give this command the flags that the broker was started with",
			"%s is free: the broker that runs was started with another address", address)
	case err == nil:
		r.ok(key, "%s is free", address)
	case errors.Is(err, syscall.EADDRINUSE):
		return r.taken(ctx, key, address)
	case errors.Is(err, syscall.EACCES):
		r.fail(key, "use a port above 1023, or let the service have CAP_NET_BIND_SERVICE", "%s: this user may not listen there", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		r.fail(key, "set "+key+" to an address of this machine, or leave the host empty for all of them", "%s: no interface of this machine has this address", address)
	default:
		r.fail(key, "set "+key+" to another address", "%v", err)
	}
	return false
}

// taken says who has an address.
func (r *round) taken(ctx context.Context, key, address string) (ours bool) {
	sockets := r.Machine.listeningAt(ctx, address)
	has, known := false, false
	if r.running != nil && len(sockets) > 0 {
		has, known = r.Machine.has(r.pid(), sockets)
	}
	if has || r.running != nil && !known && r.said(address) {
		r.ok(key, "%s is the running broker's", address)
		return true
	}
	elsewhere := "set " + key + " to another port"
	holder, seen := r.Machine.holder(sockets)
	switch {
	case seen:
		r.fail(key, fmt.Sprintf("stop process %d, or %s", holder.pid, elsewhere), "%s is taken by process %d (%s)", address, holder.pid, holder.name)
	case r.running != nil && !known:
		r.warn(key, "run this as the user that the broker runs as, or as root; if another process has it (ss -ltnp), "+elsewhere,
			"%s is taken, and whether by the running broker cannot be seen", address)
	default:
		r.fail(key, "find out who listens there (ss -ltnp), or "+elsewhere, "%s is taken by another process", address)
	}
	return false
}

// said reports whether the broker that runs has told that it is reached there.
func (r *round) said(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // as it tells of it
	}
	about := r.running.About()
	for _, text := range []string{about.URL, about.Console} {
		if u, err := url.Parse(text); err == nil && u.Host == net.JoinHostPort(host, port) {
			return true
		}
	}
	return false
}

// ready asks the broker that runs whether it should get traffic.
func (r *round) ready(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/health/ready", http.NoBody)
	if err != nil {
		return
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy, which would answer for it
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.fail(CheckBroker, "look at its log; start it again if it hangs", "it does not answer on %s: %v", address, err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusOK {
		return
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	var body struct {
		Reason string   `json:"reason"`
		Stages []string `json:"stages"`
	}
	if err != nil || json.Unmarshal(text, &body) != nil {
		body.Reason = resp.Status
	}
	r.fail(CheckBroker, "docs/ha.md says what each reason means; its log has the cause", "it takes no traffic: %s",
		strings.TrimSpace(body.Reason+" "+strings.Join(body.Stages, ", ")))
}
