package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/sdk"
)

// caller makes HTTP calls to one broker.
type caller struct {
	t      *testing.T
	url    string
	bearer string
}

// want makes a call and wants a status.
func (c caller) want(status int, method, path string, body any) map[string]any {
	c.t.Helper()
	got, answer := httpAsk(c.t, c.url, method, path, c.bearer, body)
	if got != status {
		c.t.Fatalf("%s %s: got %d %v, want %d", method, path, got, answer, status)
	}
	return answer
}

// The first run against the program itself: an operator with its commands, a
// command line that signs in and makes a mesh, somebody who joins, and messages
// between them; then, after a restart with BROKER_LEGACY_AUTH=1, a command line
// that sends no token.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := writeFile(t, "")
	broker, url := x.serveChild(file)
	c := caller{t: t, url: url}

	begun := c.want(200, "POST", "/cli/device-code", map[string]string{"hostname": "laptop", "platform": "darwin", "arch": "arm64"})
	poll := "/cli/device-code/" + begun["device_code"].(string)
	if got := c.want(200, "GET", poll, nil); got["status"] != "pending" {
		t.Errorf("poll: got %v", got)
	}
	x.ok(x.on("session", "create", "ada", "--email", "ada@example.org")...)
	x.ok(x.on("session", "approve", begun["user_code"].(string))...)
	approved := c.want(200, "GET", poll, nil)
	c.bearer = approved["session_token"].(string)
	if me := c.want(200, "GET", "/api/my/profile", nil); me["id"] != "ada" || me["email"] != "ada@example.org" {
		t.Errorf("profile: got %v", me)
	}

	key, adaSecret := identity.NewKeypair()
	mesh := c.want(200, "POST", "/cli/mesh/create", map[string]string{"name": "Team", "pubkey": key.String()})
	adaID := dial.Identity{MeshID: mesh["id"].(string), MemberID: mesh["member_id"].(string), Key: adaSecret}
	boID := c.join(c.want(200, "POST", "/cli/mesh/team/invite", map[string]string{})["code"].(string), "bo")

	ada, bo := c.dial(adaID), c.dial(boID)
	send := func() bool {
		t.Helper()
		ack, err := bo.Send(t.Context(), ada.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return ack.Queued
	}
	if !send() {
		t.Error("a message was refused")
	}
	if push, err := ada.RecvMessage(t.Context()); err != nil || push.Ciphertext != "hello" {
		t.Errorf("got %+v, %v", push, err)
	}
	c.want(200, "POST", "/cli/mesh/team/grants", map[string]any{"grants": map[string][]string{identity.PublicKey(boID.Key).String(): {}}})
	if send() {
		t.Error("a message of somebody who is blocked was taken")
	}
	c.wantMesh("/cli/meshes", 2)
	nobody := caller{t: t, url: url}
	nobody.want(401, "GET", "/cli/meshes?user_id=ada", nil)
	c.want(200, "POST", "/cli/session/revoke", map[string]string{"token": c.bearer})
	c.want(401, "GET", "/cli/meshes", nil)
	broker.quit()

	x.environ = []string{"BROKER_LEGACY_AUTH=1"}
	broker, url = x.serveChild(file)
	nobody.url, c.url = url, url
	nobody.wantMesh("/cli/meshes?user_id=ada", 0)
	c.want(401, "GET", "/cli/meshes?user_id=ada", nil)
	wantBody(t, url, "/metrics", "\nbroker_legacy_auth_hits_total 1\n")
	wantBody(t, url, "/health/ready", `"status":"ready"`)
	x.ok(x.on("account", "legacy", "ada", "off")...)
	nobody.want(401, "DELETE", "/cli/mesh/team", map[string]string{"user_id": "ada"})
	x.ok(x.on("account", "legacy", "ada", "on")...)
	peer := nobody.dial(adaID)
	nobody.want(200, "DELETE", "/cli/mesh/team", map[string]string{"user_id": "ada"})
	select {
	case <-peer.Done():
	case <-time.After(patience):
		t.Error("a deleted mesh has peers")
	}
	if list := *parse[[]admin.Mesh](t, x.ok(x.on("mesh", "list", "--json")...)); slices.ContainsFunc(list, func(m admin.Mesh) bool { return m.Slug == "team" }) {
		t.Errorf("the operator still sees %+v", list)
	}
	broker.quit()
}

// join enrols a key by a short code, as a command line does.
func (c caller) join(code, name string) dial.Identity {
	c.t.Helper()
	token := c.want(200, "GET", "/api/public/invite-code/"+code, nil)["token"].(string)
	payload, err := identity.ParseToken(token)
	if err != nil || !payload.VerifySignature() || payload.BrokerURL != c.url {
		c.t.Fatalf("the invite is %+v, %v", payload, err)
	}
	key, secret := identity.NewKeypair()
	joined := c.want(200, "POST", "/join", map[string]any{
		"invite_token": token, "invite_payload": payload, "peer_pubkey": key.String(), "display_name": name,
	})
	return dial.Identity{MeshID: payload.MeshID, MemberID: joined["memberId"].(string), Key: secret}
}

func (c caller) dial(id dial.Identity) *dial.Peer {
	c.t.Helper()
	_, id.SessionKey = identity.NewKeypair()
	p, err := dial.Dial(c.t.Context(), c.url, id, dial.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.Abort)
	return p
}

// wantMesh wants the list to hold the one mesh, with so many peers.
func (c caller) wantMesh(path string, peers int) {
	c.t.Helper()
	text, err := json.Marshal(c.want(200, "GET", path, nil)["meshes"])
	if err != nil {
		c.t.Fatal(err)
	}
	var list []struct {
		Slug        string `json:"slug"`
		IsOwner     bool   `json:"is_owner"`
		MemberCount int    `json:"member_count"`
		ActivePeers int    `json:"active_peers"`
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 1 || list[0].Slug != "team" || !list[0].IsOwner ||
		list[0].MemberCount != 2 || list[0].ActivePeers != peers {
		c.t.Errorf("%s: got %s, %v", path, text, err)
	}
}

// wantBody wants a page to contain a text.
func wantBody(t *testing.T, url, path, want string) {
	t.Helper()
	base := "http://" + strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s: got %s, want %s", path, fmt.Sprintf("%.3000s", text), want)
	}
}
