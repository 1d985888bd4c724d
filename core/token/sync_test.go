package token

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sync1 is a token's payload as the original's web app writes it.
const sync1 = `{"sub":"ada","email":"ada@example.org","meshes":[{"id":"m1","slug":"team","role":"admin"}],` +
	`"action":"sync","jti":"j1","iat":1749956800,"exp":1749957700}`

// testSecret is 32×s.
func testSecret() []byte { return []byte(strings.Repeat("s", MinSyncSecret)) }

func TestParseSync(t *testing.T) {
	// For other implementations.
	const text = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJlbWFpbCI6ImFkYUBleGFtcGxlLm9yZyIsIm1lc2hlcyI6W3siaWQiOiJtMSIsInNsdWciOiJ0ZWFtIiwicm9sZSI6ImFkbWluIn1dLCJhY3Rpb24iOiJzeW5jIiwianRpIjoiajEiLCJpYXQiOjE3NDk5NTY4MDAsImV4cCI6MTc0OTk1NzcwMH0.P_PFwDrBwmpPbDBJmKNyFGm0wJeISuqiRPcez8znVvY"
	got, err := ParseSync(text, testSecret(), start())
	if err != nil {
		t.Fatal(err)
	}
	want := Sync{
		ID: "j1", Account: "ada", Email: "ada@example.org",
		Meshes:   []SyncMesh{{ID: "m1", Slug: "team", Role: "admin"}},
		IssuedAt: start(), ExpiresAt: start().Add(15 * time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sync (-want +got):\n%s", diff)
	}
	if got := middle(t, text); got != sync1 {
		t.Errorf("got payload %s, want %s", got, sync1)
	}
}

func TestParseSyncShapes(t *testing.T) {
	for _, tt := range shapes(testSecret(), sync1) {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSync(tt.text, testSecret(), start())
			if !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff(Sync{}, got); err != nil && diff != "" {
				t.Errorf("with an error (-want +got):\n%s", diff)
			}
		})
	}
}

// The texts are the wire's.
func TestParseSyncTexts(t *testing.T) {
	exp := start().Add(15 * time.Minute)
	tests := []struct {
		name    string
		payload string
		now     time.Time
		want    string // the error's text
	}{
		{"takes the last moment", sync1, exp.Add(-time.Millisecond), ""},
		{"refuses the end itself", sync1, exp, "token expired"},
		{"takes a clock half a minute ahead", sync1, start().Add(-30 * time.Second), ""},
		{"refuses a clock further ahead", sync1, start().Add(-31 * time.Second), "token issued in the future"},
		{"takes fractions", set(set(sync1, "iat", "1749956800.5"), "exp", "1749957700.25"), start(), ""},
		{"takes an hour", set(sync1, "exp", "1749960400"), start(), ""},
		{"refuses more", set(sync1, "exp", "1749960401"), start(), "malformed JWT: exp is more than an hour after iat"},
		{"refuses no end", without(sync1, "exp"), start(), "malformed JWT: missing exp"},
		{"refuses no beginning", without(sync1, "iat"), start(), "malformed JWT: missing iat"},
		{"refuses an end out of range", set(sync1, "exp", "1e18"), start(), "malformed JWT: exp is no time"},
		{"refuses no id", without(sync1, "jti"), start(), "missing jti"},
		{"refuses an empty id", set(sync1, "jti", `""`), start(), "missing jti"},
		{"refuses an id that is a number", set(sync1, "jti", `1`), start(), "malformed JWT"},
		{"refuses no account", without(sync1, "sub"), start(), "missing sub or email"},
		{"refuses no email", without(sync1, "email"), start(), "missing sub or email"},
		{"refuses an empty email", set(sync1, "email", `""`), start(), "missing sub or email"},
		{"refuses no meshes", without(sync1, "meshes"), start(), "missing meshes array"},
		{"refuses meshes of null", set(sync1, "meshes", "null"), start(), "missing meshes array"},
		{"refuses meshes that are a text", set(sync1, "meshes", `"m1"`), start(), "missing meshes array"},
		{"refuses meshes that are texts", set(sync1, "meshes", `["m1"]`), start(), "malformed JWT: meshes"},
		{"refuses a mesh whose id is a number", set(sync1, "meshes", `[{"id":1}]`), start(), "malformed JWT: meshes"},
		{"takes an empty list of meshes", set(sync1, "meshes", `[]`), start(), ""},
		{"takes a new mesh, which it ignores", `{"newMesh":{"name":"x"},` + sync1[1:], start(), ""},
		{"looks at the time before the id", without(sync1, "jti"), exp, "token expired"},
		{"looks at the id before the account", without(without(sync1, "jti"), "sub"), start(), "missing jti"},
		{"looks at the account before the meshes", without(without(sync1, "meshes"), "sub"), start(), "missing sub or email"},
		{"refuses a bearer token with meshes", `{"type":"cli-session",` + sync1[1:], start(), "malformed JWT: a bearer token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSync(forge(testSecret(), header, tt.payload), testSecret(), tt.now)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	_, err := ParseSync(forge(testSecret(), `{"alg":"HS512"}`, sync1), testSecret(), start())
	if err == nil || err.Error() != "unsupported algorithm: HS512" {
		t.Errorf("got %v, want the algorithm's name", err)
	}
	_, err = ParseSync(forge(testSecret()[1:], header, sync1), testSecret(), start())
	if err == nil || err.Error() != "invalid signature" {
		t.Errorf("got %v, want an invalid signature", err)
	}
}

func TestCheckSecret(t *testing.T) {
	tests := []struct {
		name   string
		secret []byte
		want   error
	}{
		{"none", nil, ErrNoSecret},
		{"an empty one", []byte{}, ErrNoSecret},
		{"a short one", testSecret()[1:], ErrShortSecret},
		{"one that is long enough", testSecret(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := CheckSecret(tt.secret); !errors.Is(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			// A token that was made with such a secret is not taken either.
			if _, err := ParseSync(forge(tt.secret, header, sync1), tt.secret, start()); !errors.Is(err, tt.want) {
				t.Errorf("parsed: got %v, want %v", err, tt.want)
			}
		})
	}
}

// An operator may set one text for both; even a secret that is the derived key
// itself, which nobody can know, does not make one kind the other.
func TestKindsAreApart(t *testing.T) {
	encryption := testKey()
	keys := NewKeys(encryption)
	bearerText, _, err := keys.Mint(adaClaims(), start())
	if err != nil {
		t.Fatal(err)
	}
	short := adaClaims()
	short.ExpiresAt = start().Add(time.Hour)
	shortText, _, err := keys.Mint(short, start())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"the raw encryption key": encryption[:],
		"its hex":                []byte(hex.EncodeToString(encryption[:])),
		"the derived key":        keys.bearer,
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{bearerText, shortText} {
				if got, err := ParseSync(text, secret, start()); err == nil {
					t.Errorf("a bearer token is a sync token: %+v", got)
				}
			}
			text := forge(secret, header, sync1)
			if _, err := ParseSync(text, secret, start()); err != nil {
				t.Errorf("a good sync token: %v", err)
			}
			if got, _, err := keys.Verify(text, start()); err == nil {
				t.Errorf("a sync token is a bearer token: %+v", got)
			}
		})
	}
	// Nor does the web app make bearer tokens, whatever it writes.
	wantVerify(t, keys, forge(encryption[:], header, ada), start(), ErrSignature)
}

func FuzzParseSync(f *testing.F) {
	f.Add(header, sync1)
	for _, claim := range []string{"sub", "email", "jti", "exp", "iat", "meshes"} {
		f.Add(header, without(sync1, claim))
		f.Add(header, set(sync1, claim, "null"))
		f.Add(header, set(sync1, claim, "1e300"))
	}
	f.Add(`{"alg":"none"}`, "null")
	f.Add(`{"alg":"HS256","crit":[]}`, ada)
	// The header and the payload are signed: what the MAC keeps out is let in.
	f.Fuzz(func(t *testing.T, header, payload string) {
		text := forge(testSecret(), header, payload)
		s, err := ParseSync(text, testSecret(), start())
		if err != nil {
			if diff := cmp.Diff(Sync{}, s); diff != "" {
				t.Errorf("with an error (-want +got):\n%s", diff)
			}
			return
		}
		if s.ID == "" || s.Account == "" || s.Email == "" || !start().Before(s.ExpiresAt) ||
			s.ExpiresAt.Sub(s.IssuedAt) > MaxSyncLife || s.ExpiresAt.After(start().Add(MaxSyncLife+syncSkew)) {
			t.Errorf("%s: accepted %+v", payload, s)
		}
		if _, _, err := (&Keys{bearer: testSecret()}).Verify(text, start()); err == nil {
			t.Errorf("%s: a bearer token too", payload)
		}
	})
}

func BenchmarkParseSync(b *testing.B) {
	text := forge(testSecret(), header, sync1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSync(text, testSecret(), start()); err != nil {
			b.Fatal(err)
		}
	}
}
