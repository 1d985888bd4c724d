package console

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// dial opens a connection of somebody who says what they like.
func (r *rig) dial() net.Conn {
	r.tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(r.tb.Context(), "tcp", r.Addr().String())
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Connections of strangers that say nothing, or not all that they have to, leave
// room for who has the token.
func TestStrangersLeaveRoom(t *testing.T) {
	for name, says := range map[string]string{
		"nothing":        "",
		"half a request": "GET /console/ HTTP/1.1\r\nHost: 127.0.0.1\r\n",
		"half a form":    "POST /console/signin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken=",
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Listen: "127.0.0.1:0", Token: token, Source: empty(), Log: quiet()})
			s.http.ReadHeaderTimeout, s.http.ReadTimeout = time.Hour, time.Hour // no time helps
			r := start(t, s)
			for range 2 * maxConns {
				if _, err := r.dial().Write([]byte(says)); err != nil {
					t.Fatal(err)
				}
			}
			r.client.Timeout = 20 * time.Second
			r.enter()
			if a := r.get("/console/"); a.StatusCode != http.StatusOK {
				t.Errorf("who has the token gets %s", a.Status)
			}
			until(t, "the others have made room", func() bool {
				s.places.mu.Lock()
				defer s.places.mu.Unlock()
				return len(s.places.strangers) <= maxStrangers
			})
		})
	}
}

// Who is signed in keeps the connection, however many strangers come.
func TestStrangersEndNobodyElsesConnection(t *testing.T) {
	r := open(t, empty())
	conn := r.dial()
	answers := bufio.NewReader(conn)
	ask := func() (status int, stays bool) {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "GET /console/snapshot.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := bufio.NewReader(res.Body).WriteTo(discard{}); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, !res.Close
	}
	for range 2 {
		if status, stays := ask(); status != http.StatusOK || !stays {
			t.Fatalf("it got %d, and its connection stays: %v", status, stays)
		}
		for range maxStrangers + 20 {
			r.dial()
		}
		until(t, "strangers have all of their places", func() bool {
			r.places.mu.Lock()
			defer r.places.mu.Unlock()
			return len(r.places.strangers) == maxStrangers
		})
	}
}

// discard takes what nobody reads.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// An answer to a stranger is the last of its connection.
func TestAnswersToStrangersEndTheConnection(t *testing.T) {
	r := open(t, empty())
	closes := func(when, method, path string, form url.Values, change func(*http.Request), want bool) {
		t.Helper()
		if a := r.do(method, path, form, change); a.Close != want {
			t.Errorf("%s: %s %s, %s: it ends the connection: %v", when, method, path, a.Status, a.Close)
		}
	}
	host := func(r *http.Request) { r.Host = "evil.example" }
	site := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, path := range []string{"/", "/console/", "/console/signin", "/console/nothing", "/console/snapshot.json", "/console/live", "/console/assets/console.css"} {
		closes("to a stranger", "GET", path, nil, nil, true)
	}
	closes("by another name", "GET", "/console/signin", nil, host, true)
	closes("from another site", "POST", "/console/signin", url.Values{"token": {token}}, site, true)
	closes("with a wrong token", "POST", "/console/signin", url.Values{"token": {"wrong"}}, nil, true)
	closes("with the token", "GET", "/console/snapshot.json", nil, bearer, false)
	r.enter()
	for _, path := range []string{"/console/", "/console/signin", "/console/nothing", "/console/assets/console.css"} {
		closes("to who is signed in", "GET", path, nil, nil, false)
	}
	closes("by another name", "GET", "/console/", nil, host, true)
	closes("from another site", "POST", "/console/verify", url.Values{"mesh": {"m"}}, site, true)
}
