package storetest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var tokens = []test{
	{"a token comes back as it was written, with its account", tokenRoundTrip},
	{"a taken hash or id is a conflict", tokenConflict},
	{"a token of no account is refused", tokenNoAccount},
	{"a token remembers when it was used last", tokenTouch},
	{"the list has the good tokens of one account or of all, oldest first", tokenList},
	{"a token is revoked once", tokenRevoke},
	{"a token that eight revoke at once is revoked by one", tokenRevokeRace},
	{"what ended before a time is deleted", tokenPrune},
	{"an account has so many good tokens at most, also when eight are made at once", tokenLimit},
	{"a token that is not there is not found", tokenNotFound},
}

// digest is the SHA-256 of some secret.
func digest(what string, n int) [32]byte { return sha256.Sum256(fmt.Append(nil, what, n)) }

// token is the n-th token; the larger n, the younger.
func token(a *store.Account, n int) *store.Token {
	at := now().Add(time.Duration(n) * time.Second)
	return &store.Token{
		ID: id("token", n), AccountID: a.ID, Hash: digest("token", n), Kind: store.TokenDevice, CreatedAt: at,
		ExpiresAt: at.Add(time.Hour),
	}
}

// token makes the n-th token.
func (s *suite) token(a *store.Account, n int) *store.Token {
	s.Helper()
	t := token(a, n)
	s.must(s.CreateToken(s.ctx, t))
	return t
}

// wantToken checks the row of a token.
func (s *suite) wantToken(want *store.Token) {
	s.Helper()
	got, _, err := s.TokenByHash(s.ctx, want.Hash)
	s.must(err)
	same(s, got, want)
}

func tokenRoundTrip(s *suite) {
	a := account(1)
	a.Name, a.DisabledAt, a.NoLegacy = "Ада", now(), true
	s.must(s.CreateAccount(s.ctx, a))
	full := token(a, 2)
	full.Kind, full.Hostname, full.Platform, full.Arch = store.TokenPasted, "größe.local", "darwin", "arm64"
	full.LastSeenAt, full.RevokedAt = now().Add(time.Minute), now().Add(time.Hour)
	zero := token(a, 3)
	zero.Hash, zero.Kind = [32]byte{}, store.TokenOperator
	for _, t := range []*store.Token{token(a, 1), full, zero} {
		s.must(s.CreateToken(s.ctx, t))
		got, of, err := s.TokenByHash(s.ctx, t.Hash)
		s.must(err)
		same(s, got, t)
		same(s, of, a)
	}
}

func tokenConflict(s *suite) {
	a := s.account(1)
	t := s.token(a, 1)
	other := token(a, 2)
	other.Hash = t.Hash
	s.wantErr(s.CreateToken(s.ctx, other), store.ErrConflict)
	other.ID, other.Hash = t.ID, digest("token", 2)
	s.wantErr(s.CreateToken(s.ctx, other), store.ErrConflict)
	s.wantToken(t)
}

func tokenNoAccount(s *suite) {
	s.wantErr(s.CreateToken(s.ctx, token(account(1), 1)), store.ErrNotFound)
	_, _, err := s.TokenByHash(s.ctx, digest("token", 1))
	s.wantErr(err, store.ErrNotFound)
}

func tokenTouch(s *suite) {
	a := s.account(1)
	t, other := s.token(a, 1), s.token(a, 2)
	for _, tt := range []struct{ at, want time.Time }{
		{now(), now()}, {now().Add(time.Minute), now().Add(time.Minute)}, {now(), now().Add(time.Minute)},
	} {
		s.must(s.TouchToken(s.ctx, t.ID, tt.at))
		t.LastSeenAt = tt.want
		s.wantToken(t)
	}
	s.wantToken(other)
	s.reopen()
	s.wantToken(t)
	s.must(s.TouchToken(s.ctx, "nothing", now()))
}

func tokenList(s *suite) {
	ada, bo := s.account(1), s.account(2)
	want := func(account string, at time.Time, want ...*store.Token) {
		s.Helper()
		got, err := s.ListTokens(s.ctx, account, at)
		s.must(err)
		same(s, got, want)
	}
	want("", now())
	young, old, others := s.token(ada, 3), s.token(ada, 1), s.token(bo, 2)
	revoked := token(ada, 4)
	revoked.RevokedAt = now()
	s.must(s.CreateToken(s.ctx, revoked))

	want(ada.ID, now(), old, young)
	want(bo.ID, now(), others)
	want("", now(), old, others, young)
	want("nobody", now())
	want("", old.ExpiresAt.Add(-time.Millisecond), old, others, young)
	want("", old.ExpiresAt, others, young)
	want(ada.ID, young.ExpiresAt)
}

func tokenRevoke(s *suite) {
	t := s.token(s.account(1), 1)
	s.must(s.RevokeToken(s.ctx, t.ID, now()))
	s.wantErr(s.RevokeToken(s.ctx, t.ID, now().Add(time.Hour)), store.ErrNotFound)
	t.RevokedAt = now()
	s.wantToken(t)
}

func tokenRevokeRace(s *suite) {
	t := s.token(s.account(1), 1)
	won, lost := s.atOnce(store.ErrNotFound, func(int) error { return s.RevokeToken(s.ctx, t.ID, now()) })
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
}

func tokenPrune(s *suite) {
	a := s.account(1)
	expired, good, revoked, kept := s.token(a, 1), s.token(a, 2), s.token(a, 3), s.token(a, 4)
	before := expired.ExpiresAt.Add(time.Millisecond)
	s.must(s.RevokeToken(s.ctx, revoked.ID, before.Add(-time.Second)))
	s.must(s.RevokeToken(s.ctx, kept.ID, before))
	kept.RevokedAt = before
	oldIn, in := s.signIn(1), signIn(2)
	in.ExpiresAt = before
	s.must(s.CreateSignIn(s.ctx, in))
	s.must(s.CreateCode(s.ctx, digest("code", 1), a.ID, before.Add(-time.Hour)))
	s.must(s.CreateCode(s.ctx, digest("code", 2), a.ID, before))

	n, err := s.PruneTokens(s.ctx, before)
	s.must(err)
	if n != 4 {
		s.Errorf("deleted %d rows, want two tokens, a sign-in and a code", n)
	}
	for _, t := range []*store.Token{expired, revoked} {
		_, _, err := s.TokenByHash(s.ctx, t.Hash)
		s.wantErr(err, store.ErrNotFound)
	}
	s.wantToken(good)
	s.wantToken(kept)
	_, err = s.SignInByCode(s.ctx, oldIn.ID)
	s.wantErr(err, store.ErrNotFound)
	s.wantSignIn(in)
	s.wantAccount(a)
	owner, err := s.SpendCode(s.ctx, digest("code", 2), now())
	s.must(err)
	same(s, owner, a.ID)
}

func tokenNotFound(s *suite) {
	_, _, err := s.TokenByHash(s.ctx, digest("token", 1))
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.RevokeToken(s.ctx, "nothing", now()), store.ErrNotFound)
	n, err := s.PruneTokens(s.ctx, now())
	s.must(err)
	same(s, n, 0)
}

func tokenLimit(s *suite) {
	a, b := s.account(1), s.account(2)
	const free = 4
	for n := range store.MaxTokens - free {
		s.token(a, n)
	}
	late := now().Add(time.Minute)
	fresh := func(n int) *store.Token {
		t := token(a, store.MaxTokens+n)
		t.CreatedAt = late
		return t
	}
	won, lost := s.atOnce(store.ErrExhausted, func(n int) error { return s.CreateToken(s.ctx, fresh(n)) })
	if won != free || lost != 8-free {
		s.Errorf("%d won and %d lost, want %d and %d", won, lost, free, 8-free)
	}

	in := s.signIn(1)
	s.must(s.ApproveSignIn(s.ctx, in.ID, a.ID, now()))
	s.wantErr(s.ConsumeSignIn(s.ctx, in.ID, fresh(20)), store.ErrExhausted)
	in.ApprovedAt, in.AccountID = now(), a.ID
	s.wantSignIn(in)

	operators := fresh(21)
	operators.Kind = store.TokenOperator
	s.must(s.CreateToken(s.ctx, operators))
	s.token(b, 1000)
	s.must(s.RevokeToken(s.ctx, token(a, 0).ID, now()))
	s.wantErr(s.CreateToken(s.ctx, fresh(22)), store.ErrExhausted) // the operator's counts
	s.must(s.RevokeToken(s.ctx, token(a, 1).ID, now()))
	s.must(s.ConsumeSignIn(s.ctx, in.ID, fresh(22)))
	over := fresh(23)
	over.CreatedAt = now().Add(2 * time.Hour) // all others have expired
	over.ExpiresAt = over.CreatedAt.Add(time.Hour)
	s.must(s.CreateToken(s.ctx, over))
}
