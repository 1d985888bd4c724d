package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// Two credentials could mean two callers, and which one counts would be a guess.
func TestSeveralCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, guessing)
	good := "Bearer " + r.account("ada")
	for _, both := range [][]string{{good, "Bearer x"}, {"Bearer x", good}, {good, good}} {
		if status, answer, _ := r.askWith(http.MethodGet, "/cli/meshes", http.Header{"Authorization": both}, ""); status != http.StatusBadRequest || answer["code"] != "malformed" {
			t.Errorf("%d headers: got %d %v", len(both), status, answer)
		}
	}
}

// A refused request does not use up the one-time code that came with it.
func TestCodeIsSpentOnUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, guessing)
	r.account("ada")
	code := identity.NewCode()
	if err := r.store.CreateCode(t.Context(), identity.HashCode(code), "ada", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r.wantRefusals(t, []asked{
		{"a code with somebody's name", http.MethodPost, "/cli/token", "", `{"code":"` + code + `","user_id":"bob"}`, 400, "user_id"},
	})
	r.wantOK(http.MethodPost, "/cli/token", "", `{"code":"`+code+`"}`)
	r.wantRefusals(t, []asked{
		{"a code that was used", http.MethodPost, "/cli/token", "", `{"code":"` + code + `"}`, 401, "this one-time code"},
	})
}
