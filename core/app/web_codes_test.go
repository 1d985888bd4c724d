package app_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// goodTokens gives an account so many good tokens, and returns the id of one.
func (r *rig) goodTokens(account string, count int) (id string) {
	r.t.Helper()
	now := time.Now()
	for range count {
		id = identity.NewID()
		row := &store.Token{
			ID: id, AccountID: account, Hash: store.HashInvite(id), Kind: store.TokenPasted, CreatedAt: now,
			ExpiresAt: now.Add(time.Hour),
		}
		if err := r.store.CreateToken(context.Background(), row); err != nil {
			r.t.Fatal(err)
		}
	}
	return id
}

// A refused request leaves the one-time code that came with it.
func TestRefusedRequestLeavesItsCode(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	full := r.goodTokens("ada", store.MaxTokens-1)
	body := fmt.Sprintf(`{"code":%q}`, r.code("ada", time.Minute))
	waiting := r.begin()
	paths := []string{"/cli/token", "/cli/device-code/" + waiting.id + "/approve"}
	for range 2 {
		for _, path := range paths {
			if status, a, _ := r.ask(http.MethodPost, path, "", body); status != http.StatusConflict {
				t.Fatalf("%s with 500 tokens: got %d %v", path, status, a)
			}
		}
	}
	if err := r.store.RevokeToken(t.Context(), full, time.Now()); err != nil {
		t.Fatal(err)
	}
	r.disable("ada", true)
	for _, path := range paths {
		if status, a, _ := r.ask(http.MethodPost, path, "", body); status != http.StatusForbidden {
			t.Errorf("%s of a disabled account: got %d %v", path, status, a)
		}
	}
	r.disable("ada", false)
	r.wantOK(http.MethodPost, paths[1], "", body)
	if status, a, _ := r.ask(http.MethodPost, paths[0], "", body); status != http.StatusUnauthorized {
		t.Errorf("a code that was spent: got %d %v", status, a)
	}
}

func (r *rig) disable(account string, off bool) {
	r.t.Helper()
	_, err := r.store.ChangeAccount(context.Background(), account, func(a *store.Account) error {
		if a.DisabledAt = (time.Time{}); off {
			a.DisabledAt = time.Now()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Requests at once make no more tokens than one account may have, nor does a
// sign-in that was approved when there was room.
func TestTokensAtOnceKeepTheirBound(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	const free = 3
	approved := r.begin()
	r.approve(approved, ada)
	r.goodTokens("ada", store.MaxTokens-1-free)
	var made, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		body := fmt.Sprintf(`{"hostname":"h%d"}`, i)
		wg.Go(func() {
			switch status, a, _ := r.ask(http.MethodPost, "/cli/token", ada, body); status {
			case http.StatusOK:
				made.Add(1)
			case http.StatusConflict:
				refused.Add(1)
			default:
				t.Errorf("got %d %v", status, a)
			}
		})
	}
	wg.Wait()
	if made.Load() != free || refused.Load() != 12-free {
		t.Errorf("%d were made and %d refused, want %d and %d", made.Load(), refused.Load(), free, 12-free)
	}
	if got := r.poll(approved); got["status"] != "expired" || got["session_token"] != nil {
		t.Errorf("one token more by a sign-in: got %v", got)
	}
}

// One network does not use up the sign-ins of the others, nor of this machine.
func TestSignInsOfOneNetwork(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.TrustedProxies = []string{"127.0.0.1"} })
	begin := func(address string) int {
		status, _, _ := r.askWith(http.MethodPost, "/cli/device-code", http.Header{"X-Forwarded-For": {address}}, "")
		return status
	}
	begun := 0
	for i := range 200 {
		if begin(fmt.Sprintf("203.0.%d.%d", i%7, i/70)) == http.StatusOK {
			begun++
		}
	}
	if begun < 100 || begun > 190 {
		t.Errorf("one network began %d, want about 100", begun)
	}
	if status := begin("198.51.100.1"); status != http.StatusOK {
		t.Errorf("another network: got %d", status)
	}
	if status, a, _ := r.ask(http.MethodPost, "/cli/device-code", "", ""); status != http.StatusOK {
		t.Errorf("this machine: got %d %v", status, a)
	}
}

// The hourly sweep deletes invites that are long over, and keeps what the audit
// log says of them.
func TestInvitesThatAreLongOverAreSwept(t *testing.T) {
	c := newCrew(t)
	made := c.wantOK(http.MethodPost, "/cli/mesh/home/invite", c.tokens["ada"], `{}`)
	code := made["code"].(string)
	inv, err := c.store.InviteByCode(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	sweep := func(after time.Duration) int {
		t.Helper()
		if err := c.app.SweepTokens(t.Context(), inv.ExpiresAt.Add(after)); err != nil {
			t.Fatal(err)
		}
		status, a := c.sign("gil", http.MethodGet, "/cli/mesh/home/invites", "") // gil's token is swept too
		if status != http.StatusOK {
			t.Fatalf("got %d %v", status, a)
		}
		return len(a["invites"].([]any))
	}
	if n := sweep(29 * 24 * time.Hour); n != 1 {
		t.Errorf("after 29 days the list has %d", n)
	}
	if n := sweep(31 * 24 * time.Hour); n != 0 {
		t.Errorf("after 31 days the list has %d", n)
	}
	if status, _, _ := c.ask(http.MethodGet, "/api/public/invite-code/"+code, "", ""); status != http.StatusNotFound {
		t.Errorf("got %d", status)
	}
	if list := c.records("invite_created", 1); list[0]["invite"] != inv.ID {
		t.Errorf("the audit log has %v", list)
	}
}
