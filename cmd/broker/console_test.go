package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/console"
)

// browser is somebody at a console, with the cookies that it was given.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	return &browser{t, base, &http.Client{Jar: jar, Transport: transport}}
}

// do sends a request, a form when there is one, and returns the status and where
// redirects led to.
func (b *browser) do(method, path string, form url.Values, into any) (status int, at string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("Origin", strings.TrimSuffix(b.base, "/console/"))
	answer, err := b.http.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	if into != nil && answer.StatusCode == http.StatusOK {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			b.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return answer.StatusCode, answer.Request.URL.Path
}

// TestConsole starts the real program with a console, signs in with the token
// that broker console prints, and reads what the page shows.
func TestConsole(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	serve := x.on("serve", "--listen", "127.0.0.1:0", "--set", "console.listen=127.0.0.1:0")
	broker := x.child(serve...)
	broker.out.wait(broker.running, "ready ")
	access := parse[consoleAccess](t, x.ok(x.on("console", "--json")...))
	if want := filepath.Join(x.data, tokenName); access.TokenFile != want || len(access.Token) < minToken ||
		!strings.HasPrefix(access.URL, "http://127.0.0.1:") || !strings.HasSuffix(access.URL, "/console/") {
		t.Fatalf("got %+v", access)
	}
	if out := x.ok(x.on("console")...); !strings.Contains(out, access.URL) || !strings.Contains(out, access.Token) {
		t.Errorf("broker console says\n%s", out)
	}
	if said := broker.err.String(); !strings.Contains(said, "console on "+access.URL) || strings.Contains(said, access.Token) {
		t.Errorf("standard error has to tell where the page is, and never the token:\n%s", said)
	}
	if info, err := os.Stat(access.TokenFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}

	stranger := newBrowser(t, access.URL)
	if status, _ := stranger.do(http.MethodPost, "signin", url.Values{"token": {strings.Repeat("0", 40)}}, nil); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: status %d", status)
	}
	if status, _ := stranger.do(http.MethodGet, "snapshot.json", nil, nil); status != http.StatusUnauthorized {
		t.Errorf("without a sign-in: status %d", status)
	}
	operator := newBrowser(t, access.URL)
	if status, at := operator.do(http.MethodPost, "signin", url.Values{"token": {access.Token}}, nil); status != http.StatusOK || at != "/console/" {
		t.Errorf("the token: status %d at %s", status, at)
	}
	var s console.Snapshot
	if status, _ := operator.do(http.MethodGet, "snapshot.json", nil, &s); status != http.StatusOK || len(s.Chain.Links) < 5 || s.Chain.Links[0].Name != "auth" {
		t.Errorf("status %d, the chain %+v", status, s.Chain)
	}
	if c := s.Config; c.Loaded.Generation != 1 || c.Reload == nil || len(c.Reload.Changes) > 0 || len(c.Reload.Restart) > 0 || c.ReloadError != "" {
		t.Errorf("the config: %+v", c)
	}

	broker.signal(syscall.SIGTERM)
	if code := broker.wait(); code != exitOK {
		t.Errorf("exit %d\n%s", code, broker.err)
	}
	x.fails(exitFailed, "no broker runs on", x.on("console")...)
	broker = x.child(serve...)
	broker.out.wait(broker.running, "ready ")
	if again := parse[consoleAccess](t, x.ok(x.on("console", "--json")...)); again.Token != access.Token {
		t.Errorf("the token is another after a restart: %s, before %s", again.Token, access.Token)
	}
}

func TestConsoleTokenOfTheConfig(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-operator"
	x := newTerminal(t)
	broker := x.start(x.on("serve", "--listen", "127.0.0.1:0", "--set", "console.listen=127.0.0.1:0", "--set", "console.token="+token)...)
	broker.out.wait(broker, "ready ")
	access := parse[consoleAccess](t, x.ok(x.on("console", "--json")...))
	if access.Token != "" || access.TokenFile != "" {
		t.Errorf("a command that was not told the token prints %+v", access)
	}
	if out := x.ok(x.on("console")...); !strings.Contains(out, "the console.token that the broker was started with") {
		t.Errorf("got %s", out)
	}
	if got := parse[consoleAccess](t, x.ok(x.on("console", "--json", "--set", "console.token="+token)...)); got.Token != token {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(filepath.Join(x.data, tokenName)); !os.IsNotExist(err) {
		t.Errorf("a file was made for nothing: %v", err)
	}
}

func TestConsoleIsOff(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.serve()
	x.fails(exitFailed, "has no console: set console.listen", x.on("console")...)
	if _, err := os.Stat(filepath.Join(x.data, tokenName)); !os.IsNotExist(err) {
		t.Errorf("a token was made for nothing: %v", err)
	}
}

// TestConsoleTokenFile wants a token that can be guessed refused, whoever wrote
// it.
func TestConsoleTokenFile(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	if err := os.MkdirAll(x.data, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(x.data, tokenName)
	for _, text := range []string{"", "\n", "too short\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		x.fails(exitFailed, file+" holds no token of 16 characters or more", x.on("serve", "--listen", "127.0.0.1:0", "--set", "console.listen=127.0.0.1:0")...)
	}
}

// TestConsolePortInUse wants the broker to say which address it cannot have.
func TestConsolePortInUse(t *testing.T) {
	t.Parallel()
	x, other := newTerminal(t), newTerminal(t)
	first := x.start(x.on("serve", "--listen", "127.0.0.1:0", "--set", "console.listen=127.0.0.1:0")...)
	first.out.wait(first, "ready ")
	page, err := url.Parse(parse[consoleAccess](t, x.ok(x.on("console", "--json")...)).URL)
	if err != nil {
		t.Fatal(err)
	}
	r := other.try(other.on("serve", "--listen", "127.0.0.1:0", "--set", "console.listen="+page.Host)...)
	if r.code != exitFailed || !strings.Contains(r.err, "console.listen: ") || !strings.Contains(r.err, page.Host) || strings.Contains(r.out, "ready ") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestConsoleTellsHowPluginsEnd kills a plugin while nobody watches, and wants
// it on the page of who comes later.
func TestConsoleTellsHowPluginsEnd(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	good := script(t, "good", "stage", "serve", "rate-limit")
	file := withPlugin(t, writeProgram(t, "limit", "#!/bin/sh\necho 'here I am' >&2\nexec '"+good+"'\n"), "    with: {burst: 5}")
	x.serve("--config", file, "--set", "console.listen=127.0.0.1:0")
	first := waitPhase(x, "up")
	killPID(t, first.PID)
	access := parse[consoleAccess](t, x.ok(x.on("console", "--json")...))
	operator := newBrowser(t, access.URL)
	operator.do(http.MethodPost, "signin", url.Values{"token": {access.Token}}, nil)
	var p console.Plugin
	for deadline := time.Now().Add(patience); len(p.Ends) == 0 || p.Phase != "up"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", p)
		}
		var s console.Snapshot
		operator.do(http.MethodGet, "snapshot.json", nil, &s)
		if len(s.Plugins) != 1 {
			t.Fatalf("plugins: %+v", s.Plugins)
		}
		p = s.Plugins[0]
	}
	if p.Link != "limit" || p.PID == 0 || p.PID == first.PID || p.Restarts["crash"] != 1 || len(p.Ends) != 1 {
		t.Errorf("got %+v", p)
	}
	end := p.Ends[0]
	if end.Reason != "crash" || !strings.Contains(end.Text, "killed") || !strings.Contains(end.Stderr, "here I am") || end.At.IsZero() {
		t.Errorf("its end: %+v", end)
	}
}

// TestConsoleShowsWhatAReloadWouldDo changes the file of a broker that does not
// reload by itself.
func TestConsoleShowsWhatAReloadWouldDo(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := filepath.Join(x.home, "broker.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("reload: {watch: false}\nconsole: {listen: '127.0.0.1:0'}\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	x.serve("--config", file)
	access := parse[consoleAccess](t, x.ok(x.on("console", "--json")...))
	operator := newBrowser(t, access.URL)
	operator.do(http.MethodPost, "signin", url.Values{"token": {access.Token}}, nil)
	until := func(what string, ok func(console.Config) bool) {
		t.Helper()
		var s console.Snapshot
		for deadline := time.Now().Add(3 * patience); !ok(s.Config); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %s: %+v", what, s.Config)
			}
			s = console.Snapshot{}
			operator.do(http.MethodGet, "snapshot.json", nil, &s)
		}
		if s.Config.File != file || s.Config.Loaded.Generation != 1 {
			t.Errorf("%s: got %+v", what, s.Config)
		}
	}
	until("agreement", func(c console.Config) bool {
		return c.Reload != nil && len(c.Reload.Changes)+len(c.Reload.Restart) == 0
	})
	write("limits: {window: 7}\npipeline: [{stage: auth}, {stage: route}]\n")
	until("difference", func(c console.Config) bool {
		return c.Reload != nil && slices.Contains(c.Reload.Restart, "limits.window") && slices.Contains(c.Reload.Changes, "audit: removed")
	})
	write("limits: {windo: 7}\n")
	until("refusal", func(c console.Config) bool { return c.Reload == nil && strings.Contains(c.ReloadError, "windo") })
}
