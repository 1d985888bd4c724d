package storetest

import (
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var signIns = []test{
	{"a sign-in comes back as it was written", signInRoundTrip},
	{"a taken id, device code or user code is a conflict", signInConflict},
	{"a sign-in is found by id and by user code, by id first", signInFind},
	{"a sign-in is approved once, before it expires", signInApprove},
	{"a sign-in that eight approve at once is one account's", signInApproveRace},
	{"a sign-in is consumed once, after it was approved", signInConsume},
	{"a sign-in whose token cannot be written is not consumed", signInConsumeAtomic},
	{"a sign-in that eight consume at once gives one token", signInConsumeRace},
	{"a sign-in that is not there is not found", signInNotFound},
}

var codes = []test{
	{"a one-time code is looked at, and spent once, before it expires", codeSpend},
	{"a one-time code that eight spend at once is spent by one", codeRace},
	{"a taken one-time code is a conflict, and one of no account is refused", codeConflict},
}

var onces = []test{
	{"a token is fresh once", onceFresh},
	{"a token that eight use at once is fresh for one", onceRace},
	{"tokens are remembered when the store is opened again, and forgotten some day", onceForget},
}

func signIn(n int) *store.SignIn {
	return &store.SignIn{
		ID: id("signin", n), DeviceHash: digest("device", n), UserCode: id("CODE", n), CreatedAt: now(),
		ExpiresAt: now().Add(10 * time.Minute),
	}
}

// signIn makes the n-th sign-in.
func (s *suite) signIn(n int) *store.SignIn {
	s.Helper()
	in := signIn(n)
	s.must(s.CreateSignIn(s.ctx, in))
	return in
}

// wantSignIn checks the row of a sign-in.
func (s *suite) wantSignIn(want *store.SignIn) {
	s.Helper()
	got, err := s.SignInByDevice(s.ctx, want.DeviceHash)
	s.must(err)
	same(s, got, want)
}

func signInRoundTrip(s *suite) {
	a := s.account(1)
	full := signIn(2)
	full.Hostname, full.Platform, full.Arch, full.Remote = "größe <1>", "linux", "riscv64", "[2001:db8::1]:443"
	full.ApprovedAt, full.AccountID, full.ConsumedAt = now().Add(time.Second), a.ID, now().Add(2*time.Second)
	for _, in := range []*store.SignIn{signIn(1), full} {
		s.must(s.CreateSignIn(s.ctx, in))
		s.wantSignIn(in)
	}
}

func signInConflict(s *suite) {
	in := s.signIn(1)
	for _, take := range []func(*store.SignIn){
		func(other *store.SignIn) { other.ID = in.ID },
		func(other *store.SignIn) { other.DeviceHash = in.DeviceHash },
		func(other *store.SignIn) { other.UserCode = in.UserCode },
	} {
		other := signIn(2)
		take(other)
		s.wantErr(s.CreateSignIn(s.ctx, other), store.ErrConflict)
	}
	s.wantSignIn(in)
}

func signInFind(s *suite) {
	a, b := signIn(1), signIn(2)
	a.ID, a.UserCode, b.ID, b.UserCode = "one", "two", "two", "three"
	s.must(s.CreateSignIn(s.ctx, a))
	s.must(s.CreateSignIn(s.ctx, b))
	for by, want := range map[string]*store.SignIn{"one": a, "two": b, "three": b} {
		got, err := s.SignInByCode(s.ctx, by)
		s.must(err)
		same(s, got, want)
	}
}

func signInApprove(s *suite) {
	a, b := s.account(1), s.account(2)
	in, other, late := s.signIn(1), s.signIn(2), s.signIn(3)
	s.wantErr(s.ApproveSignIn(s.ctx, in.ID, "nobody", now()), store.ErrNotFound)
	s.wantSignIn(in)

	at := in.ExpiresAt.Add(-time.Millisecond)
	s.must(s.ApproveSignIn(s.ctx, in.ID, a.ID, at))
	for _, account := range []string{a.ID, b.ID} {
		s.wantErr(s.ApproveSignIn(s.ctx, in.ID, account, now()), store.ErrConflict)
	}
	in.ApprovedAt, in.AccountID = at, a.ID
	s.wantSignIn(in)
	s.wantSignIn(other)

	for _, at := range []time.Time{late.ExpiresAt, late.ExpiresAt.Add(time.Hour)} {
		s.wantErr(s.ApproveSignIn(s.ctx, late.ID, a.ID, at), store.ErrConflict)
	}
	s.wantSignIn(late)
}

func signInApproveRace(s *suite) {
	in := s.signIn(1)
	for n := range 8 {
		s.account(n)
	}
	won, lost := s.atOnce(store.ErrConflict, func(n int) error {
		return s.ApproveSignIn(s.ctx, in.ID, account(n).ID, now())
	})
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
}

func signInConsume(s *suite) {
	a, b := s.account(1), s.account(2)
	in := s.signIn(1)
	t := token(a, 1)
	s.wantErr(s.ConsumeSignIn(s.ctx, in.ID, t), store.ErrConflict)
	s.must(s.ApproveSignIn(s.ctx, in.ID, a.ID, now()))
	s.wantErr(s.ConsumeSignIn(s.ctx, in.ID, token(b, 1)), store.ErrConflict)
	s.must(s.ConsumeSignIn(s.ctx, in.ID, t))
	s.wantErr(s.ConsumeSignIn(s.ctx, in.ID, token(a, 2)), store.ErrConflict)

	in.ApprovedAt, in.AccountID, in.ConsumedAt = now(), a.ID, t.CreatedAt
	s.wantSignIn(in)
	s.wantToken(t)
	_, _, err := s.TokenByHash(s.ctx, token(a, 2).Hash)
	s.wantErr(err, store.ErrNotFound)
}

func signInConsumeAtomic(s *suite) {
	a := s.account(1)
	in, t := s.signIn(1), s.token(a, 1)
	s.must(s.ApproveSignIn(s.ctx, in.ID, a.ID, now()))
	s.wantErr(s.ConsumeSignIn(s.ctx, in.ID, t), store.ErrConflict)
	in.ApprovedAt, in.AccountID = now(), a.ID
	s.wantSignIn(in)
	s.must(s.ConsumeSignIn(s.ctx, in.ID, token(a, 2)))
}

func signInConsumeRace(s *suite) {
	a, in := s.account(1), s.signIn(1)
	s.must(s.ApproveSignIn(s.ctx, in.ID, a.ID, now()))
	won, lost := s.atOnce(store.ErrConflict, func(n int) error { return s.ConsumeSignIn(s.ctx, in.ID, token(a, n)) })
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
	list, err := s.ListTokens(s.ctx, a.ID, now())
	s.must(err)
	same(s, len(list), 1)
}

func signInNotFound(s *suite) {
	a := s.account(1)
	_, err := s.SignInByDevice(s.ctx, digest("device", 1))
	s.wantErr(err, store.ErrNotFound)
	_, err = s.SignInByCode(s.ctx, "")
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.ApproveSignIn(s.ctx, "nothing", a.ID, now()), store.ErrNotFound)
	s.wantErr(s.ConsumeSignIn(s.ctx, "nothing", token(a, 1)), store.ErrNotFound)
}

func codeSpend(s *suite) {
	a, b := s.account(1), s.account(2)
	expires := now().Add(time.Minute)
	s.must(s.CreateCode(s.ctx, digest("code", 1), a.ID, expires))
	s.must(s.CreateCode(s.ctx, digest("code", 2), b.ID, expires))
	spend := func(n int, at time.Time, want string) {
		s.Helper()
		for range 2 {
			got, err := s.CodeAccount(s.ctx, digest("code", n), at)
			if want == "" {
				s.wantErr(err, store.ErrNotFound)
			} else {
				s.must(err)
			}
			same(s, got, want)
		}
		got, err := s.SpendCode(s.ctx, digest("code", n), at)
		if want == "" {
			s.wantErr(err, store.ErrNotFound)
		} else {
			s.must(err)
		}
		same(s, got, want)
	}
	spend(1, expires, "")
	spend(1, expires.Add(-time.Millisecond), a.ID)
	spend(1, now(), "")
	spend(2, now(), b.ID)
	spend(3, now(), "")
}

func codeRace(s *suite) {
	a := s.account(1)
	s.must(s.CreateCode(s.ctx, digest("code", 1), a.ID, now().Add(time.Minute)))
	won, lost := s.atOnce(store.ErrNotFound, func(int) error {
		_, err := s.SpendCode(s.ctx, digest("code", 1), now())
		return err
	})
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
}

func codeConflict(s *suite) {
	a, b := s.account(1), s.account(2)
	s.must(s.CreateCode(s.ctx, digest("code", 1), a.ID, now().Add(time.Minute)))
	s.wantErr(s.CreateCode(s.ctx, digest("code", 1), b.ID, now().Add(time.Hour)), store.ErrConflict)
	s.wantErr(s.CreateCode(s.ctx, digest("code", 2), "nobody", now().Add(time.Hour)), store.ErrNotFound)
	got, err := s.SpendCode(s.ctx, digest("code", 1), now())
	s.must(err)
	same(s, got, a.ID)
}

// wantFresh uses a token and checks whether that was the first time.
func (s *suite) wantFresh(n int, until time.Time, want bool) {
	s.Helper()
	got, err := s.UseOnce(s.ctx, digest("once", n), until)
	s.must(err)
	if got != want {
		s.Errorf("token %d is fresh: %v, want %v", n, got, want)
	}
}

func onceFresh(s *suite) {
	until := time.Now().Add(time.Hour)
	for n := range 3 {
		s.wantFresh(n, until, true)
		s.wantFresh(n, until.Add(time.Hour), false)
	}
}

func onceRace(s *suite) {
	var fresh atomic.Int64
	s.atOnce(nil, func(int) error {
		ok, err := s.UseOnce(s.ctx, digest("once", 1), time.Now().Add(time.Hour))
		if ok {
			fresh.Add(1)
		}
		return err
	})
	if n := fresh.Load(); n != 1 {
		s.Errorf("the token was fresh %d times", n)
	}
}

func onceForget(s *suite) {
	s.wantFresh(1, time.Now().Add(time.Hour), true)
	s.wantFresh(2, time.Now().Add(-time.Hour), true)
	s.reopen()
	s.wantFresh(1, time.Now().Add(time.Hour), false)
	s.wantFresh(3, time.Now().Add(time.Hour), true) // makes room
	s.wantFresh(2, time.Now().Add(time.Hour), true)
}
