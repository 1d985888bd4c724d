// Package landing has the pages that a person sees who opens an invite in a
// browser: /i/{code}, the short link, and /join/{token}, the long one. They say
// what to install and what to type, and nothing else: they look nothing up, so
// that they tell nobody whether an invite is good.
package landing

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/claudemesh/broker/core/identity"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

// policy lets a page load the style of this broker's pages, and nothing else.
const policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// maxCode is how long a short code may be, in characters.
const maxCode = 64

// invite is what a page says of an invite, nil for none.
type invite struct {
	Command     string // joins with it
	Socket, Web string // addresses of this broker
}

// Handlers returns the pages by their patterns for [http.ServeMux]. Links
// returns the base of the links that people open, without a slash at its end,
// and socket the URL that sessions connect to.
func Handlers(links, socket func() string) map[string]http.Handler {
	return map[string]http.Handler{
		"GET /i/{code}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			code := identity.NormalizeCode(r.PathValue("code"))
			if !isCode(code) {
				write(w, http.StatusNotFound, nil)
				return
			}
			base := links()
			write(w, http.StatusOK, &invite{Command: "claudemesh " + base + "/i/" + code, Socket: socket(), Web: base})
		}),
		"GET /join/{token}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := r.PathValue("token")
			if _, err := identity.ParseToken(token); err != nil {
				write(w, http.StatusNotFound, nil)
				return
			}
			write(w, http.StatusOK, &invite{
				Command: "claudemesh join " + identity.InviteLink(token), Socket: socket(), Web: links(),
			})
		}),
	}
}

// isCode reports whether a code in its normal form has the characters that codes
// are made of.
func isCode(code string) bool {
	foreign := func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }
	return code != "" && len(code) <= maxCode && !strings.ContainsFunc(code, foreign)
}

// write answers with the page of an invite, or with the one that knows none.
// Nobody keeps it, since its address is as good as the invite.
func write(w http.ResponseWriter, status int, of *invite) {
	var body bytes.Buffer
	if err := page.Execute(&body, of); err != nil {
		w.WriteHeader(http.StatusInternalServerError) // never: the template takes any text
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // who asked has gone; nobody is left to tell
}
