package console

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// base is the path of the page. Everything else is below it, and is linked
// relative to it.
const base = "/console/"

// route is what a path does for each method. GET answers HEAD too.
type route struct {
	open bool // without a sign-in
	get  http.HandlerFunc
	post http.HandlerFunc
}

// routes returns every path of the page.
func (s *Server) routes() http.Handler {
	home := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, base, http.StatusSeeOther) }
	paths := map[string]route{
		"/":                    {open: true, get: home},
		"/console":             {open: true, get: home},
		base:                   {get: s.showPage},
		base + "live":          {get: s.watch},
		base + "snapshot.json": {get: s.showSnapshot},
		base + "verify":        {post: s.verify},
		base + "signin":        {open: true, get: s.showSignIn, post: s.signIn},
		base + "signout":       {open: true, post: s.signOut},
	}
	for name, f := range s.page.files {
		paths[base+"assets/"+name] = route{open: true, get: f.serve}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := paths[r.URL.Path]
		if !ok {
			s.refuse(w, r, http.StatusNotFound, "there is nothing at this path: the page is "+base)
			return
		}
		h := p.handler(r.Method)
		switch {
		case h == nil:
			w.Header().Set("Allow", p.allowed())
			s.refuse(w, r, http.StatusMethodNotAllowed, "this path answers "+p.allowed())
		case p.open:
			h(w, r)
		default:
			s.signedIn(w, r, h)
		}
	})
}

func (p route) handler(method string) http.HandlerFunc {
	switch method {
	case http.MethodGet, http.MethodHead:
		return p.get
	case http.MethodPost:
		return p.post
	default:
		return nil
	}
}

func (p route) allowed() string {
	var list []string
	if p.get != nil {
		list = append(list, http.MethodGet, http.MethodHead)
	}
	if p.post != nil {
		list = append(list, http.MethodPost)
	}
	return strings.Join(list, ", ")
}

// refuse answers with a status and what to do.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if wantsPage(r) {
		s.page.write(w, status, "error", errorView{Status: http.StatusText(status), Text: text}, s.log)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	s.wrote(io.WriteString(w, text+"\n"))
}

// wrote drops the error of an answer that its caller did not wait for.
func (s *Server) wrote(_ int, err error) {
	if err != nil {
		s.log.Debug("console: answer not written", slog.Any("err", err))
	}
}

// wantsPage reports whether a browser navigates, and no program asks.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// form reads a posted form of at most maxBody bytes.
func (s *Server) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		s.refuse(w, r, http.StatusRequestEntityTooLarge, "the form is too large")
	default:
		s.refuse(w, r, http.StatusBadRequest, "the form cannot be read: reload the page and try again")
	}
	return false
}

// hasBearer reports whether a request brings the token itself.
func hasBearer(r *http.Request) (token string, ok bool) {
	values := r.Header["Authorization"]
	i := slices.IndexFunc(values, func(v string) bool { return len(v) > 7 && strings.EqualFold(v[:7], "bearer ") })
	if i < 0 {
		return "", false
	}
	return strings.TrimSpace(values[i][7:]), true
}
