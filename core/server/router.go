package server

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// methods are the methods that any route has, in the order of an Allow header.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}

// router finds the handler of a request. What nobody handles is answered in JSON,
// since the command line takes any other body for a broken network.
type router struct {
	mux *http.ServeMux
	s   *routes
}

// ServeHTTP answers a request.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodOptions {
		if rt.has(r) {
			rt.mux.ServeHTTP(w, r)
			return
		}
	}
	counting := &counted{ResponseWriter: w, status: http.StatusOK}
	defer rt.s.Counters.since(time.Now(), "", counting)
	w = counting
	allowed := rt.allowed(r)
	switch {
	case len(allowed) == 0:
		rt.s.refuse(w, r, http.StatusNotFound, sdk.ReasonNotFound, "not found")
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		rt.s.refuse(w, r, http.StatusMethodNotAllowed, "method_not_allowed",
			"this path answers "+strings.Join(allowed, ", ")+" only")
	}
}

// has reports whether a request has a handler. A path that net/http would clean
// has none, since what it answers there is a redirect in HTML, which loses the
// body and breaks the signature of who follows it.
func (rt *router) has(r *http.Request) bool {
	at := r.URL.EscapedPath()
	if clean := path.Clean(at); at != clean && at != clean+"/" {
		return false
	}
	_, pattern := rt.mux.Handler(r)
	return pattern != ""
}

// allowed returns the methods that the path of a request has.
func (rt *router) allowed(r *http.Request) []string {
	var list []string
	for _, m := range methods {
		probe := *r
		probe.Method = m
		if rt.has(&probe) {
			list = append(list, m)
		}
	}
	if len(list) > 0 {
		list = append(list, http.MethodOptions)
	}
	return slices.Clip(list)
}

// mount adds routes and pages. Where both have a pattern, browsers get the page.
func (s *routes) mount(mux *http.ServeMux) {
	alone := maps.Clone(s.Pages)
	for _, route := range s.Routes {
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, route) })
		if page := s.Pages[route.Pattern()]; page != nil {
			delete(alone, route.Pattern())
			h = forPeople(page, h)
		}
		mux.Handle(route.Pattern(), h)
	}
	for pattern, page := range alone {
		mux.Handle(pattern, page)
	}
}
