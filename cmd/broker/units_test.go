package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	out := newTerminal(t).ok("demo")
	for _, words := range []string{
		"bo opens it: \"the build is green", "bo reads it: \"lunch at one?\"", "send to @crew",
		"auth         continue", "grants       continue", "rate-limit   continue", "route        answer",
		"client_ack", "entries, chain intact: true",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("the demo does not say %q", words)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestConfigCommands(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.environ = []string{"BROKER_ENCRYPTION_KEY=" + productionKey}
	if out := x.ok("config", "check"); !strings.Contains(out, "good") {
		t.Errorf("check: %s", out)
	}
	out := x.ok("config", "print", "--changed", "--set", "limits.window=7")
	if !strings.Contains(out, "window: 7") || strings.Contains(out, productionKey) || strings.Contains(out, "frame_bytes") {
		t.Errorf("print --changed:\n%s", out)
	}
	if out := x.ok("config", "print"); !strings.Contains(out, "frame_bytes: 2097152") {
		t.Errorf("print:\n%s", out)
	}
	if out := x.ok("config", "reference"); !strings.Contains(out, "requests_burst") || !strings.Contains(out, "limits") {
		t.Error("the reference lacks the options of stages")
	}
	if out := x.ok(x.on("chain")...); !strings.Contains(out, "would run") || !strings.Contains(out, "rate-limit") {
		t.Errorf("chain:\n%s", out)
	}
	x.fails(exitFailed, "route", x.on("chain", "--config", writeFile(t, "insecure: true\npipeline: [{stage: route}, {stage: auth}]\n"))...)
}

func TestDays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want time.Duration
	}{{"7d", 7 * 24 * time.Hour}, {"36h", 36 * time.Hour}, {"90s", 90 * time.Second}, {"0d", 0}} {
		var d days
		if err := d.Set(tt.text); err != nil || time.Duration(d) != tt.want {
			t.Errorf("%s: got %v, %v", tt.text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "d", "7", "-1d", "1.5d", "99999999d"} {
		if err := new(days).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	week := days(7 * 24 * time.Hour)
	if week.String() != "7d" {
		t.Errorf("got %s", week.String())
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"hello, wörld 日本":    "hello, wörld 日本",
		"a\nb\tc":            `a\nb\tc`,
		"\x1b[31mred\x07":    `\x1b[31mred\a`,
		"left\u202eright":    `left\u202eright`,
		"it's \"quoted\" \\": "it's \"quoted\" \\",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	for i := range 3 * remembered {
		id := fmt.Sprint(i)
		if r.has(id) {
			t.Fatalf("%s is known before it came", id)
		}
		r.add(id)
	}
	if len(r.known) != remembered || !r.has(fmt.Sprint(2*remembered)) || r.has(fmt.Sprint(2*remembered-1)) {
		t.Errorf("%d ids are known", len(r.known))
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ws://127.0.0.1:7900/ws":      "http://127.0.0.1:7900/join",
		"wss://mesh.example.org/ws/":  "https://mesh.example.org/join",
		"wss://example.org/a/mesh/ws": "https://example.org/a/mesh/join",
		"ws://host:1":                 "http://host:1/join",
		"http://host/ws":              "",
		"host:7900":                   "",
	} {
		got, err := httpURL(in, "/join")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("join at %s: got %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"127.0.0.1:7900": "ws://127.0.0.1:7900/ws",
		"0.0.0.0:1":      "ws://127.0.0.1:1/ws",
		"[::]:1":         "ws://127.0.0.1:1/ws",
		":1":             "ws://127.0.0.1:1/ws",
		"[fe80::1]:1":    "ws://[fe80::1]:1/ws",
		"mesh.local:1":   "ws://mesh.local:1/ws",
	} {
		if got := localURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestMemberPath(t *testing.T) {
	t.Parallel()
	if got := memberPath("/d", "../Mesh1", "Ada B/../x"); got != "/d/___Mesh1._41da_20_42_2f_2e_2e_2fx.json" {
		t.Errorf("got %s", got)
	}
	if memberPath("/d", "m", "a_b") == memberPath("/d", "m", "a b") {
		t.Error("two names share a file")
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	k := func(b byte) sdk.Key { return sdk.Key{b, b, b, b, b} }
	rows := []wire.PeerRow{
		{DisplayName: "ada", Pubkey: k(1), MemberPubkey: k(1)},
		{DisplayName: "bo", Pubkey: k(2), MemberPubkey: k(20)},
		{DisplayName: "bo", Pubkey: k(3), MemberPubkey: k(20)},
		{DisplayName: "cy", Pubkey: k(4), MemberPubkey: k(4)},
		{DisplayName: "cy", Pubkey: k(5), MemberPubkey: k(5)},
		{DisplayName: "me", Pubkey: k(9), MemberPubkey: k(9)},
	}
	for _, tt := range []struct {
		name, to string
		want     sdk.Key
		err      string
	}{
		{"a name that one peer has", "ada", k(1), ""},
		{"the beginning of a session key", "02020202", k(2), ""},
		{"two sessions of one member mean the member", "bo", k(20), ""},
		{"two members of one name are refused", "cy", sdk.Key{}, "2 peers answer"},
		{"the asker itself is nobody", "me", sdk.Key{}, "nobody here"},
		{"seven digits are a name", "0101010", sdk.Key{}, "nobody here"},
	} {
		got, err := choose(rows, k(9), tt.to)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, %v", tt.name, got, err)
		}
	}
}

func TestComesBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"a lost connection", &dial.CloseError{Code: 1006}, true},
		{"a broker that restarts", &dial.CloseError{Code: 1001, Reason: "shutting down"}, true},
		{"too slow", &dial.CloseError{Code: 4008, Reason: "slow"}, true},
		{"a mesh that is full", &dial.CloseError{Code: 1008, Reason: "capacity"}, true},
		{"a broker that is not up", fmt.Errorf("dial: connection refused"), true},
		{"banned", &dial.CloseError{Code: 4002, Reason: "banned"}, false},
		{"kicked", &dial.CloseError{Code: 4001, Reason: "kicked"}, false},
		{"another terminal took over", &dial.CloseError{Code: 1000, Reason: "session_replaced"}, false},
		{"a signature that is wrong", &dial.CloseError{Code: 1008, Reason: "bad_signature"}, false},
		{"closed by us", dial.ErrClosed, false},
	} {
		if got := comesBack(fmt.Errorf("hello: %w", tt.err)); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}
