package edge

import "net/http"

// field is a header field as net/http holds it.
type field struct {
	name   string
	values []string
}

// resourcePolicy says which pages may embed an answer.
const resourcePolicy = "Cross-Origin-Resource-Policy"

// secure are the header fields of every answer. They are shared by all answers:
// a handler replaces them, and never writes into them.
type secure []field

func newSecure() secure {
	return secure{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Cache-Control", []string{"no-store"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
		{"X-Frame-Options", []string{"DENY"}},
		{resourcePolicy, []string{"same-origin"}},
	}
}

func (s secure) set(h http.Header) {
	for i := range s {
		h[s[i].name] = s[i].values
	}
}
