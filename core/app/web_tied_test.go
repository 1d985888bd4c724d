package app_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// A claim names no account: whoever repeats its bytes with a token of its own
// gets nobody's member.
func TestClaimTiesNobody(t *testing.T) {
	c := newCrew(t)
	c.edit("cy", func(m *store.Member) { m.Role = store.RoleAdmin }) // an admin without an account
	code := c.wantOK(http.MethodPost, "/cli/mesh/home/invite", c.tokens["ada"], `{}`)["code"].(string)
	body := boundClaim(t, c.ids["cy"].Key, code)
	c.wantOK(http.MethodPost, claimPath(code), "", body)              // cy's own
	c.wantOK(http.MethodPost, claimPath(code), c.tokens["eve"], body) // the same bytes, from eve
	if got := c.row("cy").AccountID; got != "" {
		t.Errorf("cy belongs to %q, whom cy never named", got)
	}
	if status, _, _ := c.ask(http.MethodPost, "/cli/mesh/home/invite", c.tokens["eve"], `{"role":"admin"}`); status != http.StatusForbidden {
		t.Errorf("eve invites an admin: got %d", status)
	}

	_, secret := identity.NewKeypair() // one that is new
	body = boundClaim(t, secret, code)
	c.wantOK(http.MethodPost, claimPath(code), c.tokens["eve"], body)
	if m := c.memberWith(c.mesh.ID, identity.PublicKey(secret).String()); m.AccountID != "" {
		t.Errorf("a new member belongs to %q", m.AccountID)
	}
}

// asideCrew is a crew whose pipeline has a stage that runs *during for a request
// over HTTP whose caller is known, before the handler.
func asideCrew(t *testing.T, during *func(*sdk.Envelope)) *crew {
	t.Helper()
	r := startWith(t, filepath.Join(t.TempDir(), "b.db"), guessing, func(o *app.Options) {
		putBeforeRoute(o, "aside", aside(func(env *sdk.Envelope) {
			if f := *during; f != nil {
				f(env)
			}
		}))
	})
	r.newMesh()
	return newCrewOn(t, r)
}

// A key that has no account asks for a token while somebody ties it to an account
// that has more: the key alone does not open that.
func TestTokenOfAMemberThatWasTiedMeanwhile(t *testing.T) {
	var during func(*sdk.Envelope)
	c := asideCrew(t, &during)
	c.created(c.tokens["ada"], "private", freshKey()) // ada has more than this member
	before := c.accounts()
	during = func(*sdk.Envelope) {
		during = nil
		c.edit("cy", func(m *store.Member) { m.AccountID = "ada" }) // as ada's POST …/link does
	}
	status, a := c.sign("cy", http.MethodPost, "/cli/token", `{}`)
	if status != http.StatusForbidden || a["token"] != nil {
		t.Errorf("cy's key alone: got %d %v", status, a)
	}
	if after := c.accounts(); after != before {
		t.Errorf("there are %d accounts, want the %d from before", after, before)
	}
}

// Who was revoked while a stage had the request gets no account.
func TestTokenOfAMemberThatWasRevokedMeanwhile(t *testing.T) {
	var during func(*sdk.Envelope)
	c := asideCrew(t, &during)
	before := c.accounts()
	during = func(*sdk.Envelope) {
		during = nil
		c.revoke(c.ids["cy"])
	}
	if status, a := c.sign("cy", http.MethodPost, "/cli/token", `{}`); status < 401 || status > 403 {
		t.Errorf("got %d %v", status, a)
	}
	if m := c.row("cy"); m.AccountID != "" || c.accounts() != before {
		t.Errorf("cy has the account %q, and there are %d, want %d", m.AccountID, c.accounts(), before)
	}
}

// A member that asks many times at once leaves one account behind, not eight.
func TestOneAccountForOneMember(t *testing.T) {
	c := newCrew(t)
	before := c.accounts()
	var wg sync.WaitGroup
	for i := range 8 {
		body := `{"hostname":"` + strings.Repeat("h", i+1) + `"}`
		wg.Go(func() {
			if status, a := c.sign("cy", http.MethodPost, "/cli/token", body); status != http.StatusOK {
				t.Errorf("got %d %v", status, a)
			}
		})
	}
	wg.Wait()
	if after := c.accounts(); after != before+1 {
		t.Errorf("there are %d new accounts, want 1", after-before)
	}
}

// accounts returns how many there are.
func (c *crew) accounts() int {
	c.t.Helper()
	list, err := c.store.ListAccounts(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return len(list)
}

// An account that a member could never be linked to is not made.
func TestSyncOfAnAccountThatCannotBeLinked(t *testing.T) {
	r := newRig(t, syncing)
	for name, id := range map[string]string{
		"a pipe": "a|b", "the spelling of a key": freshKey(), "of one in capitals": strings.ToUpper(freshKey()),
	} {
		body := syncBody(syncToken(id, nil, r.mesh.ID), freshKey(), "x")
		status, a, _ := r.ask(http.MethodPost, "/cli-sync", "", body)
		if status != http.StatusBadRequest || a["error"] != "sync token invalid: malformed JWT" {
			t.Errorf("an account with %s: got %d %v", name, status, a)
		}
		if _, err := r.store.Account(t.Context(), id); err == nil {
			t.Errorf("there is an account %s", id)
		}
	}
}
