package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSignIn(t *testing.T) {
	r := open(t, empty())
	tests := []struct {
		name         string
		method, path string
		form         url.Values
		change       func(*http.Request)
		want         int
		location     string
		body         string
	}{
		{"it sends a browser to the form", "GET", "/console/", nil, browser, 303, "/console/signin", ""},
		{"it sends the bare address to the page", "GET", "/", nil, browser, 303, "/console/", ""},
		{"it sends the page without a slash to the page", "GET", "/console", nil, browser, 303, "/console/", ""},
		{"it shows the form", "GET", "/console/signin", nil, browser, 200, "", `type="password"`},
		{"it refuses a program", "GET", "/console/snapshot.json", nil, nil, 401, "", "Authorization: Bearer"},
		{"it refuses to stream", "GET", "/console/live", nil, nil, 401, "", "sign in at"},
		{"it refuses to verify", "POST", "/console/verify", url.Values{"mesh": {"m"}}, nil, 401, "", "sign in at"},
		{"it refuses a wrong token", "POST", "/console/signin", url.Values{"token": {"wrong"}}, browser, 401, "", "not the token"},
		{"it refuses an empty token", "POST", "/console/signin", url.Values{}, browser, 401, "", "not the token"},
		{"it refuses a wrong bearer", "GET", "/console/snapshot.json", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }, 401, "", "broker console prints it"},
		{"it refuses a form that is too large", "POST", "/console/signin", url.Values{"token": {strings.Repeat("x", maxBody)}}, browser, 413, "", "too large"},
		{"it takes the token as a bearer", "GET", "/console/snapshot.json", nil, bearer, 200, "", `"version": "v0.1.0"`},
		{"it takes the token with blanks around it", "POST", "/console/signin", url.Values{"token": {" " + token + "\n"}}, browser, 303, "/console/", ""},
		{"it knows the browser then", "GET", "/console/", nil, browser, 200, "", "The chain"},
		{"it sends who is signed in on", "GET", "/console/signin", nil, browser, 303, "/console/", ""},
		{"it signs out", "POST", "/console/signout", url.Values{}, browser, 303, "/console/signin", ""},
		{"it has forgotten the browser then", "GET", "/console/", nil, browser, 303, "/console/signin", ""},
	}
	for _, tt := range tests {
		a := r.do(tt.method, tt.path, tt.form, tt.change)
		if a.StatusCode != tt.want || a.Header.Get("Location") != tt.location || !strings.Contains(a.body, tt.body) {
			t.Errorf("%s: got %s to %q: %s", tt.name, a.Status, a.Header.Get("Location"), a.body)
		}
		if tt.want == 401 && tt.path != "/console/signin" && a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", tt.name)
		}
	}
}

func TestCookie(t *testing.T) {
	r := open(t, empty())
	cookie := func(change func(*http.Request)) *http.Cookie {
		a := r.do("POST", "/console/signin", url.Values{"token": {token}}, change)
		if len(a.Cookies()) != 1 {
			t.Fatalf("cookies: %v", a.Cookies())
		}
		return a.Cookies()[0]
	}
	c := cookie(browser)
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/console" || c.MaxAge != 12*3600 || len(c.Value) < 40 || c.Secure {
		t.Errorf("got %+v", c)
	}
	if port := r.URL()[strings.LastIndexByte(strings.TrimSuffix(r.URL(), base), ':')+1:]; c.Name != "broker_console_"+strings.TrimSuffix(port, base) {
		t.Errorf("the cookie is %s of %s", c.Name, r.URL())
	}
	if c := cookie(func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }); !c.Secure {
		t.Error("behind TLS it is not secure")
	}
	if a, b := cookie(browser), cookie(browser); a.Value == b.Value {
		t.Error("two visits have one value")
	}
}

func TestWrongTokensAreLimited(t *testing.T) {
	r := open(t, empty())
	try := func(token string) answer {
		return r.do("POST", "/console/signin", url.Values{"token": {token}}, browser)
	}
	for i := range 20 {
		if a := try("wrong"); a.StatusCode != 401 {
			t.Fatalf("try %d: %s", i, a.Status)
		}
	}
	a := try(token)
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "Wait ") {
		t.Errorf("the right one after too many: %s, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.body)
	}
	if a := r.do("GET", "/console/snapshot.json", nil, bearer); a.StatusCode != 429 {
		t.Errorf("a bearer after too many: %s", a.Status)
	}
}

func TestVisitsAreBoundedAndEnd(t *testing.T) {
	d := newDoors(Options{Token: token, Log: quiet()})
	request := func(id string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: d.cookie, Value: id})
		return r
	}
	now := time.Now()
	first := d.enter(now)
	visit := d.visit(request(first), now)
	var ids []string
	for i := range maxVisits {
		ids = append(ids, d.enter(now.Add(time.Duration(i+1)*time.Second)))
	}
	if d.visit(request(first), now) != nil || len(d.visits) != maxVisits {
		t.Errorf("the oldest of %d visits is still there", len(d.visits))
	}
	select {
	case <-visit.ended:
	default:
		t.Error("who watches in the oldest visit is not told")
	}
	if d.visit(request(ids[0]), now) == nil {
		t.Error("the second oldest is gone too")
	}
	if d.visit(request(ids[1]), now.Add(visitFor+time.Minute)) != nil || len(d.visits) != 0 {
		t.Errorf("after %v there are %d visits", visitFor, len(d.visits))
	}
	if d.visit(request(""), now) != nil {
		t.Error("an empty cookie is a visit")
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	r := open(t, empty())
	r.enter()
	for _, path := range []string{"/console/", "/console/signin", "/console/nothing", "/console/snapshot.json", "/console/assets/console.js"} {
		a := r.get(path)
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy is %q", path, csp)
		}
		cache := a.Header.Get("Cache-Control")
		if assets := strings.Contains(path, "assets"); (cache == "no-store") == assets || assets && cache != "no-cache" {
			t.Errorf("%s: Cache-Control is %q", path, cache)
		}
	}
}

func TestForeignRequestsAreRefused(t *testing.T) {
	r := open(t, empty())
	r.enter()
	port := r.Addr().String()[strings.LastIndexByte(r.Addr().String(), ':'):]
	host := func(name string) func(*http.Request) {
		return func(r *http.Request) { browser(r); r.Host = name }
	}
	header := func(kv ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(kv); i += 2 {
				r.Header.Set(kv[i], kv[i+1])
			}
		}
	}
	verify := url.Values{"mesh": {"m"}}
	tests := []struct {
		name   string
		method string
		path   string
		form   url.Values
		change func(*http.Request)
		want   int
	}{
		{"it answers by its address", "GET", "/console/", nil, browser, 200},
		{"it answers to localhost", "GET", "/console/signin", nil, host("localhost" + port), 200},
		{"it answers to another loopback address", "GET", "/console/signin", nil, host("[::1]" + port), 200},
		{"it answers to localhost with capitals and a dot", "GET", "/console/signin", nil, host("LocalHost." + port), 200},
		{"it refuses a name that resolves here", "GET", "/console/signin", nil, host("evil.example" + port), 421},
		{"it refuses a name that begins with its own", "GET", "/console/signin", nil, host("127.0.0.1.evil.example"), 421},
		{"it refuses an address of another network", "GET", "/console/signin", nil, host("192.0.2.7" + port), 421},
		{"it refuses a form of another site", "POST", "/console/verify", verify, header("Sec-Fetch-Site", "cross-site"), 403},
		{"it refuses a form of another port", "POST", "/console/verify", verify, header("Origin", "http://127.0.0.1:1"), 403},
		{"it refuses a sign-in from elsewhere", "POST", "/console/signin", url.Values{"token": {token}}, header("Origin", "http://evil.example"), 403},
		{"it takes its own form", "POST", "/console/verify", verify, header("Sec-Fetch-Site", "same-origin"), 202},
		{"it takes its own form of an old browser", "POST", "/console/verify", verify, header("Origin", "http://"+r.Addr().String()), 202},
	}
	for _, tt := range tests {
		if a := r.do(tt.method, tt.path, tt.form, tt.change); a.StatusCode != tt.want {
			t.Errorf("%s: got %s: %s", tt.name, a.Status, a.body)
		}
	}
}

func TestAnywhereTakesAnyName(t *testing.T) {
	r := open(t, empty(), func(o *Options) { o.Anywhere = true })
	a := r.do("GET", "/console/signin", nil, func(r *http.Request) { r.Host = "ops.example.org" })
	if a.StatusCode != 200 {
		t.Errorf("got %s", a.Status)
	}
}

func TestListenNameIsItsOwn(t *testing.T) {
	for host, want := range map[string]bool{"ops.internal:7901": true, "ops.internal": true, "other.internal:7901": false, "": false} {
		if ownHost(host, "ops.internal:7901") != want {
			t.Errorf("%q: not %v", host, want)
		}
	}
	if ownHost("", ":7901") {
		t.Error("a request without a host is taken for one")
	}
}

func TestMethods(t *testing.T) {
	r := open(t, empty())
	r.enter()
	tests := []struct {
		method, path string
		want         int
		allow        string
	}{
		{"HEAD", "/console/", 200, ""},
		{"HEAD", "/console/live", 200, ""},
		{"HEAD", "/console/snapshot.json", 200, ""},
		{"HEAD", "/console/assets/console.css", 200, ""},
		{"POST", "/console/", 405, "GET, HEAD"},
		{"DELETE", "/console/", 405, "GET, HEAD"},
		{"OPTIONS", "/console/signin", 405, "GET, HEAD, POST"},
		{"GET", "/console/verify", 405, "POST"},
		{"GET", "/console/signout", 405, "POST"},
		{"GET", "/console/assets/", 404, ""},
		{"GET", "/console/assets/page.html", 404, ""},
		{"GET", "/console/../etc/passwd", 404, ""},
		{"GET", "/metrics", 404, ""},
	}
	for _, tt := range tests {
		a := r.do(tt.method, tt.path, nil, nil)
		if a.StatusCode != tt.want || a.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %s, Allow %q", tt.method, tt.path, a.Status, a.Header.Get("Allow"))
		}
		if tt.method == "HEAD" && a.body != "" {
			t.Errorf("HEAD %s has a body", tt.path)
		}
	}
	a := r.get("/console/nothing")
	if a.StatusCode != 404 || !strings.Contains(a.body, `<a href="/console/">`) {
		t.Errorf("a browser gets %s: %s", a.Status, a.body)
	}
}

func TestAssetsAreKept(t *testing.T) {
	r := open(t, empty())
	a := r.get("/console/assets/console.css")
	tag := a.Header.Get("ETag")
	if a.StatusCode != 200 || tag == "" || a.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Fatalf("got %s, %v", a.Status, a.Header)
	}
	again := r.do("GET", "/console/assets/console.css", nil, func(r *http.Request) { r.Header.Set("If-None-Match", tag) })
	if again.StatusCode != 304 {
		t.Errorf("with its tag: %s", again.Status)
	}
	if body := r.get("/console/signin").body; !strings.Contains(body, "assets/console.css?v="+strings.Trim(tag, `"`)) {
		t.Error("the form does not name this version")
	}
}

func TestStartSaysWhatToDo(t *testing.T) {
	r := open(t, empty())
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"it refuses to run without a token", Options{Listen: "127.0.0.1:0", Source: empty(), Log: quiet()}, "set console.token"},
		{"it says that a port is taken", Options{Listen: r.Addr().String(), Token: token, Source: empty(), Log: quiet()}, "choose another address"},
	}
	for _, tt := range tests {
		s := New(tt.o)
		err := s.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || s.URL() != "" {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if r.URL() != "http://"+r.Addr().String()+"/console/" {
		t.Errorf("the URL is %s", r.URL())
	}
}
