package token

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ada is a payload in the order in which Mint writes it.
const ada = `{"sub":"acc-1","email":"ada@example.org","name":"ada","type":"cli-session",` +
	`"jti":"0b9f4c1e-8f6e-4d0c-9a57-0f3a5c1d2e3f","iat":1749956800,"exp":1752548800}`

// adaClaims are what ada says.
func adaClaims() Claims {
	return Claims{
		Account: "acc-1", Email: "ada@example.org", Name: "ada", Kind: KindDevice,
		ID: "0b9f4c1e-8f6e-4d0c-9a57-0f3a5c1d2e3f", IssuedAt: start(), ExpiresAt: start().Add(30 * 24 * time.Hour),
	}
}

// For other implementations: the encryption key is 32×07.
func TestBearerVector(t *testing.T) {
	const (
		derived = "f7f0c3f94250c52bedae9228557a3de996db27babe6ff5dc454ace44eb57ec82"
		text    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhY2MtMSIsImVtYWlsIjoiYWRhQGV4YW1wbGUub3JnIiwibmFtZSI6ImFkYSIsInR5cGUiOiJjbGktc2Vzc2lvbiIsImp0aSI6IjBiOWY0YzFlLThmNmUtNGQwYy05YTU3LTBmM2E1YzFkMmUzZiIsImlhdCI6MTc0OTk1NjgwMCwiZXhwIjoxNzUyNTQ4ODAwfQ.ijmwKSK4-iGN8svGiSXxaQfqth7FQzDwDakqjjjlJCQ"
		digest  = "e4c1b5fdb0d163dcb77beb7ac256bed6edefa078ba1f6cdd4943ba2c018805ea"
	)
	keys := NewKeys(testKey())
	if got := hex.EncodeToString(keys.bearer); got != derived {
		t.Errorf("got key %s, want %s", got, derived)
	}
	got, hash, err := keys.Mint(adaClaims(), start())
	if err != nil || got != text {
		t.Errorf("got %s, %v, want %s", got, err, text)
	}
	if hex.EncodeToString(hash[:]) != digest || HashOf(text) != hash {
		t.Errorf("got hash %x, want %s", hash, digest)
	}
	if got := middle(t, text); got != ada {
		t.Errorf("got payload %s, want %s", got, ada)
	}
	claims, again, err := keys.Verify(text, start())
	if err != nil || again != hash {
		t.Errorf("got hash %x, %v, want %x", again, err, hash)
	}
	if diff := cmp.Diff(adaClaims(), claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestVerifyShapes(t *testing.T) {
	keys := NewKeys(testKey())
	for _, tt := range shapes(keys.bearer, ada) {
		t.Run(tt.name, func(t *testing.T) { wantVerify(t, keys, tt.text, start(), tt.want) })
	}
}

// wantVerify wants an error and nothing, or no error and what ada says.
func wantVerify(t *testing.T, keys *Keys, text string, now time.Time, want error) {
	t.Helper()
	claims, hash, err := keys.Verify(text, now)
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
	if err != nil && (claims != Claims{} || hash != [32]byte{}) {
		t.Errorf("got %+v, %x with an error, want nothing", claims, hash)
	}
	if err == nil && hash != HashOf(text) {
		t.Errorf("got hash %x, want the text's", hash)
	}
}

func TestVerifyClaims(t *testing.T) {
	keys := NewKeys(testKey())
	end := start().Add(30 * 24 * time.Hour)
	tests := []struct {
		name    string
		payload string
		now     time.Time
		want    error
	}{
		{"takes the last moment", ada, end.Add(-time.Millisecond), nil},
		{"refuses the end itself", ada, end, ErrExpired},
		{"refuses what is long over", ada, end.AddDate(1, 0, 0), ErrExpired},
		{"takes a clock a minute ahead", ada, start().Add(-time.Minute), nil},
		{"refuses a clock further ahead", ada, start().Add(-time.Minute - time.Millisecond), ErrFuture},
		{"refuses no end", without(ada, "exp"), start(), ErrMalformed},
		{"refuses an end of null", set(ada, "exp", "null"), start(), ErrMalformed},
		{"refuses an end that is a text", set(ada, "exp", `"1752548800"`), start(), ErrMalformed},
		{"refuses an end out of range", set(ada, "exp", "1e300"), start(), ErrMalformed},
		{"refuses an end before 1970", set(ada, "exp", "-1"), start(), ErrMalformed},
		{"refuses no beginning", without(ada, "iat"), start(), ErrMalformed},
		{"refuses no type", without(ada, "type"), start(), ErrKind},
		{"refuses another type", set(ada, "type", `"sync"`), start(), ErrKind},
		{"refuses no id", without(ada, "jti"), start(), ErrID},
		{"refuses no account", without(ada, "sub"), start(), ErrAccount},
		{"refuses an empty account", set(ada, "sub", `""`), start(), ErrAccount},
		{"refuses an account that is a number", set(ada, "sub", "1"), start(), ErrMalformed},
		{"refuses an account under another name", strings.Replace(ada, "sub", "Sub", 1), start(), ErrAccount},
		{"takes the other type", set(ada, "type", `"cli-token"`), start(), nil},
		{"takes no name and no email", without(without(ada, "name"), "email"), start(), nil},
		{"takes a claim that it does not know", `{"x":1,` + ada[1:], start(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantVerify(t, keys, forge(keys.bearer, header, tt.payload), tt.now, tt.want)
		})
	}
}

func TestVerifyLength(t *testing.T) {
	keys := NewKeys(testKey())
	c := adaClaims()
	for range MaxBearer {
		text, _, err := keys.Mint(c, start())
		if err != nil {
			if !errors.Is(err, ErrMalformed) || len(c.Name) < MaxBearer/2 {
				t.Errorf("a name of %d bytes: %v", len(c.Name), err)
			}
			return
		}
		if len(text) > MaxBearer {
			t.Fatalf("got a token of %d bytes", len(text))
		}
		c.Name += strings.Repeat("ü", 16)
	}
	t.Error("tokens have no limit")
}

// The original's encoder failed on everything behind ÿ.
func TestMintNames(t *testing.T) {
	keys := NewKeys(testKey())
	for _, name := range []string{"", "Ada Lovelace", "Zoë", "Łukasz", "Ольга", "محمد", "李明", "👩‍💻", `"<&>\`, "\u2028\x00"} {
		c := adaClaims()
		c.Name, c.Email = name, name
		text, hash, err := keys.Mint(c, start())
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		middle(t, text)
		got, again, err := keys.Verify(text, start())
		if err != nil || again != hash {
			t.Errorf("%q: got hash %x, %v, want %x", name, again, err, hash)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Claims)
		want   error
	}{
		{"no account", func(c *Claims) { c.Account = "" }, ErrAccount},
		{"no kind", func(c *Claims) { c.Kind = "" }, ErrKind},
		{"another kind", func(c *Claims) { c.Kind = "sync" }, ErrKind},
		{"no end", func(c *Claims) { c.ExpiresAt = time.Time{} }, ErrMalformed},
		{"an end of now", func(c *Claims) { c.ExpiresAt = start() }, ErrExpired},
		{"an end in less than a second", func(c *Claims) { c.ExpiresAt = start().Add(time.Second - 1) }, ErrExpired},
		{"a name that is not UTF-8", func(c *Claims) { c.Name = "\xff" }, ErrMalformed},
		{"a name that is too long", func(c *Claims) { c.Name = strings.Repeat("a", MaxBearer) }, ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := adaClaims()
			tt.change(&c)
			text, hash, err := NewKeys(testKey()).Mint(c, start())
			if !errors.Is(err, tt.want) || text != "" || hash != [32]byte{} {
				t.Errorf("got %q, %x, %v, want nothing, %v", text, hash, err, tt.want)
			}
		})
	}
}

func TestMintFillsIn(t *testing.T) {
	keys := NewKeys(testKey())
	c := adaClaims()
	c.ID, c.IssuedAt = "", time.Time{}
	now := start().Add(999 * time.Millisecond)
	c.ExpiresAt = now.Add(time.Hour)
	seen := map[string]bool{}
	for range 100 {
		text, _, err := keys.Mint(c, now)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := keys.Verify(text, now)
		if err != nil || len(got.ID) != 36 || seen[got.ID] {
			t.Fatalf("got id %q, %v, want a new UUID", got.ID, err)
		}
		seen[got.ID] = true
		if !got.IssuedAt.Equal(start()) || !got.ExpiresAt.Equal(start().Add(time.Hour)) {
			t.Errorf("got %v to %v, want whole seconds", got.IssuedAt, got.ExpiresAt)
		}
	}
}

func TestVerifyIsOfOneKey(t *testing.T) {
	text, _, err := NewKeys(testKey()).Mint(adaClaims(), start())
	if err != nil {
		t.Fatal(err)
	}
	other := testKey()
	other[31] ^= 1
	wantVerify(t, NewKeys(other), text, start(), ErrSignature)
}

func FuzzVerify(f *testing.F) {
	keys := NewKeys(testKey())
	for _, s := range shapes(keys.bearer, ada) {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, hash, err := keys.Verify(text, start())
		if err != nil {
			return
		}
		if c.Account == "" || c.ID == "" || !c.Kind.known() || !start().Before(c.ExpiresAt) || hash != HashOf(text) {
			t.Errorf("%q: accepted %+v", text, c)
		}
	})
}

func FuzzMint(f *testing.F) {
	f.Add("acc-1", "ada@example.org", "李明", int64(30*24*3600))
	f.Add("", "", "", int64(-1))
	f.Add("\xff", "|", "\u2028", int64(1)<<60)
	keys := NewKeys(testKey())
	f.Fuzz(func(t *testing.T, account, email, name string, seconds int64) {
		c := Claims{
			Account: account, Email: email, Name: name, Kind: KindPasted, ID: "1",
			IssuedAt: start(), ExpiresAt: time.Unix(start().Unix()+seconds%(1<<40), 0),
		}
		text, hash, err := keys.Mint(c, start())
		if err != nil {
			return
		}
		got, again, err := keys.Verify(text, start())
		if err != nil || again != hash {
			t.Fatalf("minted, then: %v", err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	keys := NewKeys(testKey())
	text, _, err := keys.Mint(adaClaims(), start())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := keys.Verify(text, start()); err != nil {
			b.Fatal(err)
		}
	}
}
