package console

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// policy lets the page load its own files and talk to its own address, and
// nothing else. There is no inline style or script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard is what every request passes first: the headers of every answer, and a
// refusal of what another site makes a browser send.
func (s *Server) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would make the Origin of our own forms null
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Connection", "close") // to all who have not signed in
		switch {
		case !s.options.Anywhere && !ownHost(r.Host, s.options.Listen):
			// A page elsewhere may have its own name resolve to this machine, and is
			// then of one origin with us. It cannot choose the name that we go by.
			s.refuse(w, r, http.StatusMisdirectedRequest,
				"the console is asked by a name that is not its own: open it by its address, or set console.anywhere for a reverse proxy")
		case cross.Check(r) != nil:
			s.refuse(w, r, http.StatusForbidden, "the request came from another site: open the console and try there")
		default:
			if s.doors.visit(r, time.Now()) != nil {
				s.places.known(w, r)
			}
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost reports whether a request's host is a name of this machine that no
// name server is asked for, or the one that the page listens on.
func ownHost(host, listen string) bool {
	name := hostname(host)
	if name == "localhost" {
		return true
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	own := hostname(listen)
	return name != "" && name == own
}

// hostname is the host of host:port, without brackets, dot and capitals.
func hostname(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		s = h
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	return strings.ToLower(strings.TrimSuffix(s, "."))
}
