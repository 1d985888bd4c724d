package server

import (
	"net/http"
	"strings"
)

// forPeople answers a browser with a page, and everybody else with the route that
// has the same pattern.
func forPeople(page, route http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			page.ServeHTTP(w, r)
			return
		}
		route.ServeHTTP(w, r)
	})
}
