package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/tracing/otlptest"
	"github.com/claudemesh/broker/sdk"
)

// TestLogLevel changes what a running broker logs.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	level := x.on("log", "level")
	x.fails(exitFailed, "no broker runs on this store", level...)
	broker, url := x.serve()
	if out := x.ok(level...); out != "info\n" {
		t.Errorf("at first: %q", out)
	}
	c := caller{t: t, url: url}
	c.want(401, "GET", "/cli/meshes", nil)
	if strings.Contains(broker.err.String(), "request refused") {
		t.Error("a line of debug was written before debug was asked for, so that this test shows nothing")
	}
	if out := x.ok(x.on("log", "level", "debug", "--for", "1h")...); !strings.HasPrefix(out, "debug until ") || !strings.HasSuffix(out, ", then info\n") {
		t.Errorf("for an hour: %q", out)
	}
	c.want(401, "GET", "/cli/meshes", nil)
	broker.err.wait(broker, `"msg":"request refused"`)
	broker.err.wait(broker, `"msg":"log level changed","to":"DEBUG","from":"INFO","by":"operator"`)
	l := parse[admin.LogLevel](t, x.ok(x.on("log", "level", "--json")...))
	if l.Level != "debug" || l.Configured != "info" || l.Then != "info" || time.Until(l.Until) > time.Hour {
		t.Errorf("got %+v", l)
	}
	if out := x.ok(x.on("log", "level", "error")...); out != "error until it is changed or the broker ends; log.level is info\n" {
		t.Errorf("without an end: %q", out)
	}
	x.ok(x.on("log", "level", "debug", "--for", "1ms")...)
	broker.err.wait(broker, `"to":"ERROR","from":"DEBUG","by":"time"`)
	if l := parse[admin.LogLevel](t, x.ok(x.on("log", "level", "--json")...)); l.Level != "error" || !l.Until.IsZero() {
		t.Errorf("after its time: %+v", l)
	}
	x.fails(exitFailed, "debug, info, warn, error", x.on("log", "level", "loud")...)
	x.fails(exitFailed, "up to 7 days", x.on("log", "level", "debug", "--for", "200h")...)
	x.fails(exitUsage, "--for needs a level", x.on("log", "level", "--for", "1m")...)
	x.fails(exitUsage, "above 0", x.on("log", "level", "debug", "--for", "-1m")...)
}

// TestRefusals shows what a broker refused, to who asks, and to who follows.
func TestRefusals(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.fails(exitFailed, "no broker runs on this store", x.on("refusals")...)
	broker, url := x.serve()
	_ = broker
	if out := x.ok(x.on("refusals")...); out != "nothing was refused\n" {
		t.Errorf("at first: %q", out)
	}
	follower := x.start(x.on("refusals", "--follow", "--reason", "missing_bearer_token")...)
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	stranger, _ := identity.NewKeypair()
	x.try("peer", "send", "--member", filepath.Join(keys, "member-1.json"), stranger.String(), "to a key that nobody has")
	caller{t: t, url: url}.want(401, "GET", "/cli/meshes", nil)
	follower.out.wait(follower, "missing_bearer_token (401)")
	if out := follower.out.String(); strings.Count(out, "REASON") != 1 || strings.Contains(out, "member-1") {
		t.Errorf("the follower sees\n%s", out)
	}
	follower.end()

	var ofTeam []admin.Refusal
	if err := json.Unmarshal([]byte(x.ok(x.on("refusals", "--mesh", "team", "--json")...)), &ofTeam); err != nil || len(ofTeam) != 1 {
		t.Fatalf("of the mesh: %+v, %v", ofTeam, err)
	}
	f := ofTeam[0]
	if f.Slug != "team" || f.Mesh != m.ID || f.Name != "member-1" || f.MemberID != m.Members[0].ID || f.Kind != sdk.KindSend ||
		f.Reason == "" || f.Conn == 0 || time.Since(f.At) > time.Hour {
		t.Errorf("got %+v", f)
	}
	out := x.ok(x.on("refusals")...)
	for _, words := range []string{"TIME", "TRACE", "send", "team", "member-1", string(f.Reason), "http.mesh.list"} {
		if !strings.Contains(out, words) {
			t.Errorf("the list lacks %q:\n%s", words, out)
		}
	}
	if out := x.ok(x.on("refusals", "-n", "1")...); strings.Count(out, "\n") != 2 || !strings.Contains(out, "http.mesh.list") {
		t.Errorf("the newest:\n%s", out)
	}
	x.fails(exitFailed, "no mesh is called", x.on("refusals", "--mesh", "temm")...)
	x.fails(exitUsage, "above 0", x.on("refusals", "-n", "0")...)
	x.fails(exitUsage, "not be below 0", x.on("refusals", "--follow", "-n", "-1")...)
	x.fails(exitFailed, "the chain has no link rate_limit; it has: auth, grants, rate-limit, route, audit", x.on("refusals", "--stage", "rate_limit")...)
	if out := x.ok(x.on("refusals", "--reason", "rate_limited")...); !strings.HasPrefix(out, "none of the 2 that are remembered is --reason rate_limited; there are: ") || !strings.Contains(out, string(f.Reason)) {
		t.Errorf("a reason that there is not: %q", out)
	}
	if out := x.ok(x.on("refusals", "--stage", "rate-limit")...); !strings.HasPrefix(out, "none of the 2 that are remembered is --stage rate-limit; there are: auth, route\n") {
		t.Errorf("a stage that refused nothing: %q", out)
	}
	anew := x.start(x.on("refusals", "--follow", "-n", "0")...)
	caller{t: t, url: url}.want(401, "GET", "/cli/meshes", nil) // may be before it asks
	for stop := time.Now().Add(patience); !strings.Contains(anew.out.String(), "(401)") && time.Now().Before(stop); {
		caller{t: t, url: url}.want(401, "GET", "/cli/meshes", nil)
	}
	if out := anew.out.String(); !strings.Contains(out, "(401)") || strings.Contains(out, "member-1") {
		t.Errorf("from now on:\n%s", out)
	}
	anew.end()

	lines := x.start(x.on("refusals", "--follow", "--json")...)
	lines.out.wait(lines, `"http.mesh.list"`)
	for line := range strings.Lines(lines.out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	lines.end()
}

// TestNoSecretLeaves runs a broker that logs and traces everything, does whatever
// takes or makes a secret, rightly and wrongly, and looks for the secrets in all
// that comes out.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	x, receiver := newTerminal(t), otlptest.New(t)
	s := secrets{}
	const (
		encryption, sync = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90", "a-sync-secret-of-thirty-two-bytes!!"
		console, plugged = "a-token-of-the-console", "what-the-plugin-alone-should-know"
		body             = "the-message-that-ada-wrote-to-bo"
	)
	s.add("key", encryption).add("sync secret", sync).add("console's token", console).add("plugin's variable", plugged).add("body", body)
	x.environ = []string{
		config.VariableName("encryption_key") + "=" + encryption, config.VariableName("http.sync_secret") + "=" + sync,
		config.VariableName("console.token") + "=" + console, "LIMIT_TOKEN=" + plugged,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.HTTP, "OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=50",
	}
	m := x.newMesh("team", "2")
	s.add("invite", m.Invite).add("secret key", m.Members[0].SecretKey).add("secret key", m.Members[1].SecretKey)
	file := withPlugin(t, script(t, "good", "stage", "serve", "rate-limit"), "      env: [LIMIT_TOKEN]\n    with: {burst: 50}")
	broker := x.child(x.on("serve", "--config", file, "--listen", "127.0.0.1:0", "--set", "log.level=debug", "--set", "console.listen=127.0.0.1:0",
		"--set", "telemetry.names=true")...)
	ready := broker.out.wait(broker.running, "ready ws://")
	c := caller{t: t, url: strings.TrimSpace(ready[strings.LastIndex(ready, "ready ")+len("ready "):])}

	x.useAccounts(c, s)
	x.useMesh(c, s, m, body)
	x.ok(x.on("reload", "--wait")...)
	seen := x.ok(x.on("refusals", "--json")...) + x.ok(x.on("doctor", "--config", file, "--set", "listen=127.0.0.1:0")...) + x.ok(x.on("plugin", "status", "limit")...) +
		x.ok(x.on("config", "print", "--config", file)...) + x.ok(x.on("chain", "--json")...)
	receiver.Wait(t, "spans of a message, and of requests", func(all []otlptest.Span) bool {
		names := fmt.Sprint(all)
		return strings.Contains(names, "envelope/send") && strings.Contains(names, "envelope/http.join")
	})
	broker.quit()
	log := broker.err.String()
	for _, line := range []string{"request refused", "command refused", "sign-in approved", "token made"} {
		if !strings.Contains(log, line) {
			t.Errorf("nothing was logged of %q, so that this test shows nothing:\n%s", line, log)
		}
	}
	s.lookIn(t, "the log", log)
	s.lookIn(t, "standard output", broker.out.String())
	s.lookIn(t, "the spans", fmt.Sprintf("%+v", receiver.Spans()))
	s.lookIn(t, "what commands print", seen)
}

// useAccounts signs in, in all ways.
func (x *terminal) useAccounts(c caller, s secrets) {
	begun := c.want(200, "POST", "/cli/device-code", map[string]string{"hostname": "laptop", "platform": "linux", "arch": "arm64"})
	s.add("device code", begun["device_code"].(string))
	poll := "/cli/device-code/" + begun["device_code"].(string)
	c.want(200, "GET", poll, nil)
	made := parse[admin.NewToken](x.t, x.ok(x.on("session", "create", "ada", "--email", "ada@example.org", "--json")...))
	s.add("token", made.Token).add("one-time code", made.Code)
	x.ok(x.on("session", "approve", begun["user_code"].(string))...)
	s.add("token", c.want(200, "GET", poll, nil)["session_token"].(string))
	c.bearer = made.Token
	c.want(200, "GET", "/api/my/profile", nil)
	c.bearer = s.with("wrong token", made.Token[:len(made.Token)-6]+"AAAAAA")
	c.want(401, "GET", "/api/my/profile", nil)
	c.bearer = ""
	httpAsk(x.t, c.url, "GET", "/cli/device-code/"+s.with("wrong device code", strings.Repeat("q7", 21)), "", nil)
	httpAsk(x.t, c.url, "POST", "/cli/token", "", map[string]string{"code": s.with("wrong one-time code", "WRNG-C0DE-7777-ABCD")})
	httpAsk(x.t, c.url, "POST", "/cli-sync", "", map[string]any{"sync_token": s.with("sync token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"), "peer_pubkey": "x", "display_name": "x"})
	s.add("token", c.want(200, "POST", "/cli/token", map[string]string{"code": made.Code})["token"].(string))
	again := c.want(200, "POST", "/cli/device-code", map[string]string{"hostname": "laptop", "platform": "linux", "arch": "arm64"})
	s.add("device code", again["device_code"].(string))
	if status, answer := httpAsk(x.t, c.url, "POST", "/cli/device-code/"+again["user_code"].(string)+"/approve", made.Token, map[string]any{}); status != 200 {
		x.t.Fatalf("approve: %d %v", status, answer)
	}
	x.fails(exitFailed, "no command line waits", x.on("session", "approve", "WRNG-7777")...)
	httpAsk(x.t, c.url, "POST", "/hook/set-status", made.Token, map[string]any{"cwd": "/", "status": "working"})
	httpAsk(x.t, c.url, "GET", "/cli/meshes?access_token="+url.QueryEscape(made.Token), "", nil)
	c.want(200, "POST", "/cli/session/revoke", map[string]string{"token": made.Token})
}

// useMesh joins, claims, sends, and tries what is refused.
func (x *terminal) useMesh(c caller, s secrets, m *admin.NewMesh, body string) {
	invite := parse[admin.Invite](x.t, x.ok(x.on("invite", "create", "team", "--uses", "5", "--json")...))
	s.add("invite", invite.Token).add("short code", invite.Code)
	bo := c.join(invite.Code, "bo")
	s.add("secret key", identity.SeedHex(bo.Key))
	c.want(400, "POST", "/join", map[string]any{
		"invite_token": s.with("wrong invite", invite.Token[:len(invite.Token)-8]), "invite_payload": map[string]any{}, "peer_pubkey": "x", "display_name": "x",
	})
	httpAsk(x.t, c.url, "GET", "/api/public/invite-code/"+s.with("wrong short code", "WRGcode7"), "", nil)
	httpAsk(x.t, c.url, "POST", "/invites/"+invite.Code+"/claim", "", map[string]any{"recipient_x25519_pubkey": "x"})

	secret, err := identity.ParseSecret(m.Members[0].SecretKey)
	if err != nil {
		x.t.Fatal(err)
	}
	ada := c.dial(dial.Identity{MeshID: m.ID, MemberID: m.Members[0].ID, Key: secret})
	peer := c.dial(bo)
	for _, to := range []string{peer.Key().String(), strings.Repeat("ab", 32)} { // nobody has the second
		if _, err := ada.Send(x.t.Context(), to, sdk.PriorityNow, s.with("nonce", "a-nonce-of-this-message"), body, dial.SendOptions{}); err != nil {
			x.t.Fatal(err)
		}
	}
	if push, err := peer.RecvMessage(x.t.Context()); err != nil || push.Ciphertext != body {
		x.t.Errorf("got %+v, %v", push, err)
	}
	_, stranger := identity.NewKeypair()
	if p, err := dial.Dial(x.t.Context(), c.url, dial.Identity{MeshID: m.ID, MemberID: m.Members[1].ID, Key: stranger}, dial.Options{}); err == nil {
		p.Abort()
		x.t.Error("a stranger is a member")
	}
}

// secrets are texts that must not be seen, by what they are.
type secrets map[string]string

func (s secrets) add(what, text string) secrets {
	s[text] = what
	return s
}

// with adds a secret and returns it.
func (s secrets) with(what, text string) string {
	s.add(what, text)
	return text
}

func (s secrets) lookIn(t *testing.T, where, text string) {
	t.Helper()
	for secret, what := range s {
		if len(secret) < 6 {
			t.Errorf("the %s is %q, which may be anywhere", what, secret)
		}
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s has a %s: …%s", where, what, text[max(0, i-200):min(len(text), i+len(secret)+80)])
		}
	}
}
