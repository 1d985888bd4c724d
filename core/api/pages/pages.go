// Package pages has the two pages that a person opens to sign a command line in:
// /cli-auth approves a sign-in, /token shows a token to paste. They hold nothing
// themselves: what they show and do goes through the JSON routes of core/api,
// with the one-time code that the operator hands out.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"time"
)

//go:embed files
var files embed.FS

// policy lets a page load its own script and style and ask this broker, and
// nothing else: no inline script, no form that a browser sends by itself, no
// frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Content types of the files.
const (
	html = "text/html; charset=utf-8"
	css  = "text/css; charset=utf-8"
	js   = "text/javascript; charset=utf-8"
)

// Handlers returns the pages and what they load, by their patterns for
// [http.ServeMux]. Addresses in them are relative, so that a reverse proxy may
// put the broker under a path.
func Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /cli-auth":          file("cli-auth.html", html),
		"GET /token":             file("token.html", html),
		"GET /pages/style.css":   file("style.css", css),
		"GET /pages/common.js":   file("common.js", js),
		"GET /pages/cli-auth.js": file("cli-auth.js", js),
		"GET /pages/token.js":    file("token.js", js),
	}
}

// file serves one file. Pages are never kept, since their address holds the id of
// a sign-in; what they load is asked for again each time, by its hash.
func file(name, contentType string) http.Handler {
	content, err := files.ReadFile("files/" + name)
	if err != nil {
		panic(err) // the name is one of those above
	}
	sum := sha256.Sum256(content)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if contentType != html {
			h.Set("Cache-Control", "no-cache")
			h.Set("ETag", tag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
