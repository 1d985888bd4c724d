package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func (c *crew) grantsPath() string { return "/cli/mesh/" + c.mesh.Slug + "/grants" }

// key returns a member's key as text.
func (c *crew) key(name string) string { return identity.PublicKey(c.ids[name].Key).String() }

func TestGrants(t *testing.T) {
	c := newCrew(t)
	ada, cy := c.key("ada"), c.key("cy")
	steps := []struct {
		name, grants string
		want         map[string]any
	}{
		{"it takes a list", fmt.Sprintf(`{"%s":["read","dm"]}`, ada), map[string]any{ada: []any{"read", "dm"}}},
		{"it blocks, and answers the whole map", fmt.Sprintf(`{"%s":[]}`, strings.ToUpper(cy)), map[string]any{ada: []any{"read", "dm"}, cy: []any{}}},
		{"it takes back", fmt.Sprintf(`{"%s":null}`, ada), map[string]any{cy: []any{}}},
		{"it changes nothing for nothing", `{}`, map[string]any{cy: []any{}}},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			got := c.wantOK(http.MethodPost, c.grantsPath(), c.tokens["bo"], `{"grants":`+tt.grants+`}`)
			if d := cmp.Diff(map[string]any{"ok": true, "grants": tt.want}, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(got, c.wantOK(http.MethodGet, c.grantsPath(), c.tokens["bo"], "")); d != "" {
				t.Errorf("it is asked for: %s", d)
			}
		})
	}
	if got := c.records("grants_changed", 3)[0]; !cmp.Equal(got, map[string]any{"peers": []any{ada}}) {
		t.Errorf("got %v", got)
	}
}

// What was set holds for the next message, over whatever it was set.
func TestGrantsHoldAtOnce(t *testing.T) {
	c := newCrew(t)
	gil, bo := c.dial(session(c.ids["gil"]), dial.Options{}), c.dial(session(c.ids["bo"]), dial.Options{ConfirmPushes: true})
	send := func(text string, blocked bool) {
		t.Helper()
		ack := c.send(gil, bo.Key().String(), sdk.PriorityNow, text)
		if ack.Queued == blocked {
			t.Fatalf("got %+v", ack)
		}
		if !blocked {
			c.wantText(bo, text)
		}
	}
	send("one", false)
	c.wantOK(http.MethodPost, c.grantsPath(), c.tokens["bo"], fmt.Sprintf(`{"grants":{"%s":[]}}`, c.key("gil")))
	send("two", true)
	c.wantOK(http.MethodPost, c.grantsPath(), c.tokens["bo"], fmt.Sprintf(`{"grants":{"%s":null}}`, c.key("gil")))
	send("three", false)
}

// Flaw 39: who joined by an invite, without an account, has grants too.
func TestGrantsBySignature(t *testing.T) {
	c := newCrew(t)
	body := fmt.Sprintf(`{"grants":{"%s":["dm"]}}`, c.key("ada"))
	for range 2 { // the path may say the mesh's id as well
		if status, answer := c.sign("cy", http.MethodPost, c.grantsPath(), body); status != 200 {
			t.Errorf("got %d %v", status, answer)
		}
		c.mesh.Slug = c.mesh.ID
	}
	if got := c.row("cy").Grants; len(got) != 1 {
		t.Errorf("got %v", got)
	}
	if status, answer := c.sign("eve", http.MethodPost, c.grantsPath(), body); status != 403 {
		t.Errorf("another mesh's member: got %d %v", status, answer)
	}
}

// An account's members are changed together: nobody reaches the person at the
// other device.
func TestGrantsOfAnAccount(t *testing.T) {
	c := newCrew(t)
	c.edit("cy", func(m *store.Member) { m.AccountID = "bo" })
	c.wantOK(http.MethodPost, c.grantsPath(), c.tokens["bo"], fmt.Sprintf(`{"grants":{"%s":[]}}`, c.key("gil")))
	gil := c.dial(session(c.ids["gil"]), dial.Options{})
	for _, name := range []string{"bo", "cy"} {
		if ack := c.send(gil, c.key(name), sdk.PriorityNow, "x"); ack.Queued {
			t.Errorf("%s is reached", name)
		}
	}
}

// Flaw 42: edits that come at once are all there afterwards.
func TestGrantsAtOnce(t *testing.T) {
	c := newCrew(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			body := fmt.Sprintf(`{"grants":{"%064x":["dm"]}}`, i+1)
			if status, answer, _ := c.ask(http.MethodPost, c.grantsPath(), c.tokens["bo"], body); status != 200 {
				t.Errorf("got %d %v", status, answer)
			}
		})
	}
	all.Wait()
	if n := len(c.row("bo").Grants); n != 16 {
		t.Errorf("%d of 16 are left", n)
	}
}

func TestGrantRefusals(t *testing.T) {
	c := newCrew(t)
	path, nobody := c.grantsPath(), "/cli/mesh/nowhere/grants"
	ada := c.key("ada")
	c.wantRefusals(t, []asked{
		{"no grants", "POST", path, c.tokens["bo"], `{}`, 400, "grants required"},
		{"null for grants", "POST", path, c.tokens["bo"], `{"grants":null}`, 400, "grants required"},
		{"a list for grants", "POST", path, c.tokens["bo"], `{"grants":[]}`, 400, "grants: want an object"},
		{"a text for a list", "POST", path, c.tokens["bo"], fmt.Sprintf(`{"grants":{"%s":"dm"}}`, ada), 400, `grants["`},
		{"what is no key", "POST", path, c.tokens["bo"], `{"grants":{"ada":["dm"]}}`, 400, `grants: "ada" is no key of a peer`},
		{"an unknown capability", "POST", path, c.tokens["bo"], fmt.Sprintf(`{"grants":{"%s":["shout"]}}`, ada), 400, `grants: "shout" is no capability: want read, dm`},
		{"no mesh", "POST", nobody, c.tokens["bo"], `{"grants":{}}`, 404, "Mesh not found"},
		{"a stranger", "POST", path, c.tokens["zoe"], `{"grants":{}}`, 403, "Not a member of this mesh"},
		{"a member of another mesh", "POST", path, c.tokens["eve"], `{"grants":{}}`, 403, "Not a member of this mesh"},
		{"no mesh to show", "GET", nobody, c.tokens["bo"], "", 404, "Mesh not found"},
		{"a stranger to see", "GET", path, c.tokens["zoe"], "", 403, "Not a member of this mesh"},
		{"another method", "DELETE", path, c.tokens["bo"], "", 405, "this path answers GET, HEAD, POST, OPTIONS only"},
		{"an account by its name alone", "POST", path, "", `{"grants":{},"user_id":"bo"}`, 401, "missing_bearer_token"},
	})
	c.wantRefusals(t, credentials("POST", path, `{"grants":{}}`))
	c.wantRefusals(t, credentials("GET", path, ""))
	c.wantRefusals(t, bodies("POST", path, c.tokens["bo"], "Invalid body"))
	if got := c.row("bo").Grants; len(got) > 0 {
		t.Errorf("a refusal changed something: %v", got)
	}
}

// Where legacy-auth is on, an account's id is enough to set grants, and for
// nothing else of these routes.
func TestGrantsThroughLegacyAuth(t *testing.T) {
	c := newCrew(t, legacy)
	status, answer, header := c.ask(http.MethodPost, c.grantsPath(), "", fmt.Sprintf(`{"grants":{"%s":[]},"user_id":"bo"}`, c.key("ada")))
	if status != 200 || header.Get("Deprecation") == "" || len(c.row("bo").Grants) != 1 {
		t.Errorf("got %d %v", status, answer)
	}
	for _, path := range []string{c.permissionsPath(), c.membersPath()} {
		if status, answer, _ := c.ask(http.MethodGet, path+"?user_id=bo", "", ""); status != 401 {
			t.Errorf("%s: got %d %v", path, status, answer)
		}
	}
}

// legacy switches legacy-auth on.
func legacy(c *config.Config) {
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "legacy-auth" {
			c.Pipeline[i].Enabled = true
		}
	}
}
