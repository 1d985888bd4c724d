package app_test

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
)

// crowd is how many ask at once.
const crowd = 20

// outcome is a status and the error with it, "" for none.
type outcome struct {
	status int
	error  string
}

// race has the crowd ask at once, and counts what they get.
func (r *rig) race(ask func(i int) (status int, answer map[string]any)) map[outcome]int {
	r.t.Helper()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		begin = make(chan struct{})
		got   = map[outcome]int{}
	)
	for i := range crowd {
		wg.Go(func() {
			<-begin
			status, answer := ask(i)
			text, _ := answer["error"].(string)
			mu.Lock()
			defer mu.Unlock()
			got[outcome{status, text}]++
		})
	}
	close(begin)
	wg.Wait()
	return got
}

// oneUse makes a mesh of ada's with an invite for one.
func (r *rig) oneUse() (mesh, code string, inv invitation) {
	r.t.Helper()
	ada := r.account("ada")
	slug, id := r.created(ada, "team", freshKey())
	code = r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, "{}")["code"].(string)
	inv.token = r.wantOK(http.MethodGet, "/api/public/invite-code/"+code, "", "")["token"].(string)
	var err error
	if inv.payload, err = identity.ParseToken(inv.token); err != nil {
		r.t.Fatal(err)
	}
	return id, code, inv
}

// wantSpent wants one use of an invite to be spent, on one member beside ada's.
func (r *rig) wantSpent(mesh, code string) {
	r.t.Helper()
	inv, err := r.store.InviteByCode(r.t.Context(), code)
	if err != nil || inv.UsedCount != 1 {
		r.t.Errorf("got %+v, %v; want one use", inv, err)
	}
	members, err := r.store.ListMembers(r.t.Context(), mesh)
	if err != nil || len(members) != 2 {
		r.t.Errorf("got %d members, %v; want ada and one more", len(members), err)
	}
}

// boundClaim is the body of a claim that a key has signed.
func boundClaim(t *testing.T, secret ed25519.PrivateKey, code string) string {
	t.Helper()
	box, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recipient := identity.SealKey(box.PublicKey().Bytes())
	p := identity.SignClaim(secret, code, recipient, time.Now())
	return fmt.Sprintf(`{"recipient_x25519_pubkey":%q,"peer_pubkey":%q,"timestamp":%s,"signature":%q}`,
		p.RecipientKey, p.PeerPubkey, p.TimestampToken, p.Signature)
}

// An invite for one is used by one, however they come.
func TestOneUseInviteIsUsedOnce(t *testing.T) {
	claim := func(t *testing.T, r *rig, code string) (int, map[string]any) {
		t.Helper()
		_, secret := identity.NewKeypair()
		status, answer, _ := r.ask(http.MethodPost, "/invites/"+code+"/claim", "", boundClaim(t, secret, code))
		return status, answer
	}
	join := func(r *rig, inv invitation) (int, map[string]any) {
		status, answer, _ := r.ask(http.MethodPost, "/join", "", inv.body(freshKey(), "x"))
		return status, answer
	}
	late, gone := outcome{400, "invite_exhausted"}, outcome{410, "exhausted"}
	t.Run("by those who join", func(t *testing.T) {
		r := newRig(t, guessing)
		mesh, code, inv := r.oneUse()
		got := r.race(func(int) (int, map[string]any) { return join(r, inv) })
		if d := cmp.Diff(map[outcome]int{{200, ""}: 1, late: crowd - 1}, got, cmp.AllowUnexported(outcome{})); d != "" {
			t.Error(d)
		}
		r.wantSpent(mesh, code)
	})
	t.Run("by those who claim", func(t *testing.T) {
		r := newRig(t, guessing)
		mesh, code, _ := r.oneUse()
		got := r.race(func(int) (int, map[string]any) { return claim(t, r, code) })
		if d := cmp.Diff(map[outcome]int{{200, ""}: 1, gone: crowd - 1}, got, cmp.AllowUnexported(outcome{})); d != "" {
			t.Error(d)
		}
		r.wantSpent(mesh, code)
	})
	t.Run("by both", func(t *testing.T) {
		r := newRig(t, guessing)
		mesh, code, inv := r.oneUse()
		got := r.race(func(i int) (int, map[string]any) {
			if i%2 == 0 {
				return join(r, inv)
			}
			return claim(t, r, code)
		})
		if got[outcome{200, ""}] != 1 || got[late]+got[gone] != crowd-1 || got[late] < crowd/2-1 || got[gone] < crowd/2-1 {
			t.Errorf("got %v", got)
		}
		r.wantSpent(mesh, code)
	})
}

// One key that comes many times at once is one member, and everybody is told so.
func TestOneKeyIsOneMember(t *testing.T) {
	key, secret := identity.NewKeypair()
	r := newRig(t, guessing)
	mesh, code, inv := r.oneUse()
	got := r.race(func(i int) (int, map[string]any) {
		if i%2 == 0 {
			status, answer, _ := r.ask(http.MethodPost, "/join", "", inv.body(key.String(), "x"))
			return status, answer
		}
		status, answer, _ := r.ask(http.MethodPost, "/invites/"+code+"/claim", "", boundClaim(t, secret, code))
		return status, answer
	})
	if got[outcome{200, ""}] != crowd {
		t.Errorf("got %v, want all of them let in", got)
	}
	r.wantSpent(mesh, code)
}

// Edits of grants at once lose nothing.
func TestGrantsMergeAtOnce(t *testing.T) {
	r := newRig(t, nil)
	ada := r.account("ada")
	slug, _ := r.created(ada, "team", freshKey())
	path := "/cli/mesh/" + slug + "/grants"
	got := r.race(func(i int) (int, map[string]any) {
		status, answer, _ := r.ask(http.MethodPost, path, ada, fmt.Sprintf(`{"grants":{"%064x":["dm"]}}`, i+1))
		return status, answer
	})
	if got[outcome{200, ""}] != crowd {
		t.Errorf("got %v", got)
	}
	if all := r.wantOK(http.MethodGet, path, ada, "")["grants"].(map[string]any); len(all) != crowd {
		t.Errorf("got %d entries, want %d", len(all), crowd)
	}
	got = r.race(func(i int) (int, map[string]any) {
		status, answer, _ := r.ask(http.MethodPost, path, ada, fmt.Sprintf(`{"grants":{"%064x":null}}`, i+1))
		return status, answer
	})
	if all := r.wantOK(http.MethodGet, path, ada, "")["grants"].(map[string]any); len(all) != 0 || got[outcome{200, ""}] != crowd {
		t.Errorf("got %v, and %v are left", got, all)
	}
}

// Of approvals at once one counts, and of polls at once one has the token, also
// while it is approved.
func TestSignInAtOnce(t *testing.T) {
	r := newRig(t, guessing)
	accounts := []string{r.account("ada"), r.account("bo")}
	begun := r.begin()
	got := r.race(func(i int) (int, map[string]any) {
		status, answer, _ := r.ask(http.MethodPost, "/cli/device-code/"+begun.id+"/approve", accounts[i%2], "")
		return status, answer
	})
	want := map[outcome]int{{200, ""}: 1, {409, "Code already approved"}: crowd - 1}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); d != "" {
		t.Error(d)
	}
	r.wantOneToken(begun, nil)

	begun = r.begin()
	r.wantOneToken(begun, func() {
		if status, answer, _ := r.ask(http.MethodPost, "/cli/device-code/"+begun.id+"/approve", accounts[0], ""); status != 200 {
			t.Errorf("approve: got %d %v", status, answer)
		}
	})
}

// wantOneToken polls a sign-in from many sides until one has the token.
func (r *rig) wantOneToken(b begun, meanwhile func()) {
	r.t.Helper()
	var mu sync.Mutex
	var tokens []string
	done := make(chan struct{})
	if meanwhile != nil {
		go func() {
			defer close(done)
			meanwhile()
		}()
	} else {
		close(done)
	}
	r.race(func(int) (int, map[string]any) {
		for approved := false; ; {
			select {
			case <-done:
				approved = true
			default:
			}
			status, answer, _ := r.ask(http.MethodGet, "/cli/device-code/"+b.device, "", "")
			text, ok := answer["session_token"].(string)
			if ok != (answer["status"] == "approved") {
				r.t.Errorf("got %v", answer)
			}
			if ok {
				mu.Lock()
				tokens = append(tokens, text)
				mu.Unlock()
			}
			if approved || answer["status"] != "pending" {
				return status, answer
			}
		}
	})
	if len(tokens) != 1 {
		r.t.Fatalf("got %d tokens, want one", len(tokens))
	}
	r.wantOK(http.MethodGet, "/api/my/profile", tokens[0], "")
}
