package feature

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/watch"
	"github.com/claudemesh/broker/core/wire"
)

func (r *rig) watchRegistry() *Registry {
	reg := NewRegistry()
	reg.roster = r.roster
	Watches(reg, r.store, watch.NewClient([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}), testKeys())
	return reg
}

func (p *peer) watch(reg *Registry, fields string) (wire.WatchAck, string) {
	p.rig.t.Helper()
	answer, _ := p.askOf(reg, `{"type":"watch","_reqId":1,`+fields+`}`)
	got, err := wire.Decode[wire.WatchAck]([]byte(answer))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return *got, answer
}

func TestWatchLife(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	ada, sibling := r.join("ada"), r.join("ada", named("ada-2"))
	const fields = `"url":"https://example.org/x?key=secret","mode":"json","extract":"a.0","notify_on":"match:x","headers":{"authorization":"Bearer s"},"label":"l"`
	made, answer := ada.watch(reg, fields)
	wantText(t, answer, `{"type":"watch_ack","_reqId":1,"watchId":"`+made.WatchID+`","url":"https://example.org/x?key=secret","mode":"json","interval":30}`)
	if again, _ := sibling.watch(reg, fields); again.WatchID != made.WatchID {
		t.Error("the same request makes another watch")
	}
	rows, err := r.store.ListWatches(t.Context(), r.mesh.ID, ada.member.ID)
	if err != nil || len(rows) != 1 || strings.Contains(rows[0].Headers, "Bearer") {
		t.Fatalf("got %+v, %v", rows, err)
	}
	if headers, err := watch.OpenHeaders(testKeys(), rows[0]); err != nil || headers["Authorization"] != "Bearer s" {
		t.Errorf("got %v, %v", headers, err)
	}
	rows[0].WatchState = store.WatchState{Value: "v", CheckedAt: time.Now(), Failures: 2, Failure: "timed out", NextAt: time.Now()}
	if err := r.store.SetWatchState(t.Context(), made.WatchID, &rows[0].WatchState); err != nil {
		t.Fatal(err)
	}
	answer, _ = sibling.askOf(reg, `{"type":"watch_list","_reqId":2}`)
	for _, part := range []string{
		`{"type":"watch_list_result","_reqId":2,"watches":[{"id":"` + made.WatchID + `",`, `"interval":30,"notifyOn":"match:x","lastHash":"v","lastValue":"v","lastCheck":"2`,
		`"failures":2,"lastError":"timed out"`,
	} {
		if !strings.Contains(answer, part) {
			t.Errorf("got %s, want %s", answer, part)
		}
	}
	for _, want := range []string{`"url":"https://example.org/x?key=secret","mode":"json","interval":0}`, `"url":"","mode":"","interval":0}`} {
		answer, _ = sibling.askOf(reg, `{"type":"unwatch","_reqId":3,"watchId":"`+made.WatchID+`"}`)
		wantText(t, answer, `{"type":"watch_ack","_reqId":3,"watchId":"`+made.WatchID+`",`+want)
	}
}

func TestFlawExt07Intervals(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	ada := r.join("ada")
	for given, want := range map[string]int64{`0`: 15, `-5`: 15, `5`: 15, `60`: 60, `9223372036854775807`: 86400} {
		if got, answer := ada.watch(reg, `"url":"https://example.org","interval":`+given); got.Interval != want {
			t.Errorf("%s: got %s", given, answer)
		}
	}
	for _, given := range []string{`"x"`, `{}`, `1e400`, `0.5`} {
		if got, answer := ada.watch(reg, `"url":"https://example.org","interval":`+given); got.WatchID != "" || !strings.HasPrefix(got.Error, "invalid: interval") {
			t.Errorf("%s: got %s", given, answer)
		}
	}
}

func TestFlawExt06UnsafeWatchesAreRefusedAloud(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	ada := r.join("ada")
	for fields, want := range map[string]string{
		`"mode":"hash"`:                                                       "invalid: url: is required",
		`"url":"http://169.254.169.254/latest"`:                               "invalid: url: the address is private",
		`"url":"http://[::ffff:127.0.0.1]:7900/metrics"`:                      "invalid: url: the address is private",
		`"url":"file:///etc/passwd"`:                                          "invalid: url: the URL is neither http nor https",
		`"url":"http://8.8.8.8:25"`:                                           "invalid: url: the port is neither",
		`"url":"http://a b"`:                                                  "invalid: url: want a URL",
		`"url":"https://x.example","notify_on":"sometimes"`:                   "invalid: notify_on: want change",
		`"url":"https://x.example","mode":"other"`:                            "invalid: mode: want",
		`"url":"https://x.example","headers":["a"]`:                           "invalid: headers: want an object of texts",
		`"url":"https://x.example","headers":{"Host":"127.0.0.1"}`:            "invalid: headers: Host is the broker's to send",
		`"url":"https://x.example","headers":{"transfer-encoding":"chunked"}`: "invalid: headers: Transfer-Encoding is the broker's to send",
		`"url":"https://x.example","headers":{"proxy-authorization":"x"}`:     "invalid: headers: Proxy-Authorization is the broker's to send",
		`"url":"https://x.example","headers":{"x-forwarded-for":"127.0.0.1"}`: "invalid: headers: X-Forwarded-For is the broker's to send",
		`"url":"https://x.example","headers":{"a":"b\r\nc: d"}`:               "invalid: headers: ",
		`"url":"https://x.example","headers":{"a b":"c"}`:                     "invalid: headers: ",
	} {
		if got, answer := ada.watch(reg, fields); got.WatchID != "" || !strings.HasPrefix(got.Error, want) {
			t.Errorf("%s: got %s", fields, answer)
		}
	}
	if got, answer := ada.watch(reg, `"url":"http://10.1.2.3:8080/"`); got.WatchID == "" {
		t.Errorf("what the operator allows is refused: %s", answer)
	}
}

// Nobody stops, or sees, the watch of another member.
func TestFlawExt09WatchesAreTheirMembers(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	made, _ := r.join("ada").watch(reg, `"url":"https://example.org"`)
	gil := r.join("gil")
	got, records := gil.askOf(reg, `{"type":"unwatch","watchId":"`+made.WatchID+`"}`)
	wantText(t, got, `{"type":"watch_ack","watchId":"`+made.WatchID+`","url":"","mode":"","interval":0}`)
	wantList(t, "records", recorded(records), nil)
	got, _ = gil.askOf(reg, `{"type":"watch_list"}`)
	wantText(t, got, `{"type":"watch_list_result","watches":[]}`)
	if rows, err := r.store.ListWatches(t.Context(), r.mesh.ID, r.members["ada"].ID); err != nil || len(rows) != 1 {
		t.Errorf("got %v, %v", rows, err)
	}
	if len(made.WatchID) < 32 {
		t.Errorf("the id %s can be guessed", made.WatchID)
	}
}

func TestFlawExt08And31WatchesHaveRoom(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	ada := r.join("ada")
	for i := range watchesPerMember {
		ada.watch(reg, fmt.Sprintf(`"url":"https://example.org/%d"`, i))
	}
	got, _ := ada.watch(reg, `"url":"https://example.org/more"`)
	wantText(t, got.Error, "capacity: 20 watches are yours, and that is all a member may have: end some with unwatch")
}

func TestFlawExt28WatchesNeedAPermission(t *testing.T) {
	r := newRig(t)
	_, answer := r.join("bo").watch(r.watchRegistry(), `"url":"https://example.org"`)
	wantText(t, answer, `{"type":"watch_ack","_reqId":1,"watchId":"","url":"","mode":"","interval":0,`+
		`"error":"forbidden: you do not have the permission canManageWatches in this mesh: ask its owner or an admin for it"}`)
	off := NewRegistry()
	off.roster = r.roster
	Watches(off, r.store, nil, nil)
	if got, answer := r.join("ada").watch(off, `"url":"https://example.org"`); !strings.HasPrefix(got.Error, "not_available: ") {
		t.Errorf("got %s", answer)
	}
}

// Whatever is asked for, a watch is made of it or it is refused aloud, and nothing
// private is ever on the list.
func TestWatchProperty(t *testing.T) {
	r := newRig(t)
	reg := r.watchRegistry()
	ada := r.join("ada")
	rapid.Check(t, func(rt *rapid.T) {
		host := rapid.OneOf(rapid.SampledFrom([]string{"example.org", "127.0.0.1", "[::1]", "10.0.0.1", "8.8.8.8:22"}), rapid.String()).Draw(rt, "host")
		headers := rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "headers")
		text := "{}"
		for k, v := range headers {
			text = `{` + quoted(k) + `:` + quoted(v) + `}`
		}
		got, answer := ada.watch(reg, `"url":`+quoted("http://"+host)+`,"headers":`+text+`,"notify_on":`+quoted(rapid.SampledFrom([]string{"", "change", "x"}).Draw(rt, "on")))
		switch {
		case got.WatchID == "" && !strings.HasPrefix(got.Error, "invalid: "):
			rt.Fatalf("got %s", answer)
		case got.WatchID != "" && (strings.Contains(host, "127.") || host == "[::1]" || host == "10.0.0.1" || strings.HasSuffix(host, ":22")):
			rt.Fatalf("got %s", answer)
		case got.WatchID != "":
			ada.askOf(reg, `{"type":"unwatch","watchId":"`+got.WatchID+`"}`)
		}
	})
}
