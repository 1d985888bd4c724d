package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// account makes an account, unless it is there, and returns a bearer token of it.
func (r *rig) account(id string) (bearer string) {
	r.t.Helper()
	ctx, now := context.Background(), time.Now()
	err := r.store.CreateAccount(ctx, &store.Account{ID: id, Email: id + "@example.org", Name: id, CreatedAt: now})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		r.t.Fatalf("create account: %v", err)
	}
	c := token.Claims{Account: id, Email: id + "@example.org", Name: id, Kind: token.KindPasted, ExpiresAt: now.Add(time.Hour)}
	text, hash, err := token.NewKeys(atRest.Key()).Mint(c, now)
	if err != nil {
		r.t.Fatalf("mint: %v", err)
	}
	row := &store.Token{
		ID: identity.NewID(), AccountID: id, Hash: hash, Kind: store.TokenPasted,
		CreatedAt: now, ExpiresAt: c.ExpiresAt, LastSeenAt: now,
	}
	if err := r.store.CreateToken(ctx, row); err != nil {
		r.t.Fatalf("create token: %v", err)
	}
	return text
}

// ask makes a request with a bearer token, "" for none, and reads the JSON that
// answers it.
func (r *rig) ask(method, path, bearer, body string) (status int, answer map[string]any, header http.Header) {
	r.t.Helper()
	h := http.Header{}
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	return r.askWith(method, path, h, body)
}

// askWith is ask with headers of any kind.
func (r *rig) askWith(method, path string, h http.Header, body string) (status int, answer map[string]any, header http.Header) {
	r.t.Helper()
	status, b, header := r.askRaw(method, path, h, body)
	if len(b) > 0 {
		if err := json.Unmarshal(b, &answer); err != nil {
			r.t.Fatalf("%s %s: got %d %q: %v", method, path, status, b, err)
		}
	}
	return status, answer, header
}

// askRaw is askWith for an answer of any form.
func (r *rig) askRaw(method, path string, h http.Header, body string) (status int, answer []byte, header http.Header) {
	r.t.Helper()
	url := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + path
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = h
	res, err := web.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, b, res.Header
}
