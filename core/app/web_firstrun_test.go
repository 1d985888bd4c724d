package app_test

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
)

// firstRuns are the scripts, by what they need of the config.
var firstRuns = map[string]func(*config.Config){
	"bearer": nil,
	"shim":   legacyOn,
}

// webAppSecret is shared with the web application that is not there.
const webAppSecret = "0123456789abcdef0123456789abcdef"

func legacyOn(c *config.Config) {
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "legacy-auth" {
			c.Pipeline[i].Enabled = true
		}
	}
}

func firstRunConfig(name string) func(*config.Config) {
	return func(c *config.Config) {
		c.HTTP.SyncSecret = config.Secret(webAppSecret)
		if change := firstRuns[name]; change != nil {
			change(c)
		}
	}
}

// TestFirstRun plays what the existing command line and its user do, from the
// first sign-in to the last, against a broker alone.
func TestFirstRun(t *testing.T) {
	for name := range firstRuns {
		t.Run(name, func(t *testing.T) {
			playScript(t, newRig(t, firstRunConfig(name)), "testdata/firstrun/"+name+".txt")
		})
	}
}

// The same on the other engine, by a broker that is one of possibly many.
func TestFirstRunOnPostgres(t *testing.T) {
	for name := range firstRuns {
		t.Run(name, func(t *testing.T) {
			playScript(t, newNodes(t, 1, firstRunConfig(name)).list[0], "testdata/firstrun/"+name+".txt")
		})
	}
}

// do is what happens outside the wire:
//
//	key ada                          ada's client makes its keys
//	session create ada NAME          the operator makes an account, with $operator.token and $operator.code
//	account legacy ada off           the operator bars an account from legacy-auth
//	account disable ada              the operator disables an account
//	read invite $token               a client reads an invite and verifies it; the payload is the answer
//	read token $token                a client reads who it is from a token; the claims are the answer
//	open $sealed as bo               bo's client opens a root key, which is the one in the invite that was read
//	sync ada MAIL $mesh $slug        the web application vouches for ada, by $sync
func (s *script) do(words []string) {
	s.t.Helper()
	what := strings.Join(words, " ")
	for i := range words {
		words[i] = s.plain(words[i])
	}
	switch {
	case len(words) == 2 && words[0] == "key":
		s.makeKeys(words[1])
	case len(words) > 3 && strings.HasPrefix(what, "session create "):
		s.createSession(words[2], strings.Join(words[3:], " "))
	case len(words) == 4 && strings.HasPrefix(what, "account legacy "):
		_, err := s.operator().SetAccountLegacy(s.t.Context(), words[2], words[3] == "on")
		s.must(err)
	case len(words) == 3 && strings.HasPrefix(what, "account disable "):
		_, err := s.operator().SetAccountEnabled(s.t.Context(), words[2], false)
		s.must(err)
	case len(words) == 3 && strings.HasPrefix(what, "read invite "):
		s.readInvite(words[2])
	case len(words) == 3 && strings.HasPrefix(what, "read token "):
		s.readToken(words[2])
	case len(words) == 4 && words[0] == "open":
		s.openRootKey(words[1], words[3])
	case len(words) == 5 && words[0] == "sync":
		s.bind("sync", s.syncToken(words[1], words[2], words[3], words[4]))
	default:
		s.fail("cannot do %q", what)
	}
}

func (s *script) must(err error) {
	s.t.Helper()
	if err != nil {
		s.fail("%v", err)
	}
}

// operator is what commands like broker session create call.
func (s *script) operator() *admin.Local {
	return admin.New(s.r.store, atRest, admin.Hooks{URL: func() string { return s.r.url }})
}

func (s *script) createSession(id, name string) {
	s.t.Helper()
	n, err := s.operator().CreateToken(s.t.Context(), id, admin.TokenOptions{Name: name, Email: id + "@example.org"})
	s.must(err)
	s.bind("operator.token", n.Token)
	s.bind("operator.code", n.Code)
}

func (s *script) makeKeys(name string) {
	s.t.Helper()
	k := &clientKeys{}
	member, secret := identity.NewKeypair()
	routing, session := identity.NewKeypair()
	k.member, k.session = secret, session
	copy(k.x25519[:], secret.Seed())
	box, err := ecdh.X25519().NewPrivateKey(k.x25519[:])
	s.must(err)
	s.keys[name] = k
	s.bind(name+".key", member.String())
	s.bind(name+".session", routing.String())
	s.bind(name+".x25519", base64.RawURLEncoding.EncodeToString(box.PublicKey().Bytes()))
}

// readInvite holds an invite to what clients do: its fields, the time until it
// holds, and the owner's signature.
func (s *script) readInvite(token string) {
	s.t.Helper()
	payload, err := identity.ParseToken(token)
	s.must(err)
	if !payload.VerifySignature() {
		s.fail("the invite is not signed by its owner_pubkey")
	}
	if left := time.Until(time.Unix(payload.ExpiresAt, 0)); left <= 0 {
		s.fail("the invite has expired")
	}
	key, err := base64.RawURLEncoding.DecodeString(payload.MeshRootKey)
	if err != nil || len(key) != 32 {
		s.fail("mesh_root_key has %d bytes: %v", len(key), err)
	}
	s.bind("payload", payload)
	s.body = []byte(s.bound["payload"])
}

// readToken reads the claims as a client does that got the token by pasting.
func (s *script) readToken(token string) {
	s.t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) <= 50 {
		s.fail("no client takes this for a token: %s", token)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	s.must(err)
	s.body = claims
}

func (s *script) openRootKey(sealed, name string) {
	s.t.Helper()
	box, err := base64.RawURLEncoding.DecodeString(sealed)
	s.must(err)
	key, err := identity.OpenAnonymous(s.client(name).x25519, box)
	s.must(err)
	var payload identity.InviteV1
	s.must(json.Unmarshal([]byte(s.bound["payload"]), &payload))
	if got := base64.RawURLEncoding.EncodeToString(key); len(key) != 32 || got != payload.MeshRootKey {
		s.fail("the root key is %s, want the invite's %s", got, payload.MeshRootKey)
	}
}

// syncToken is what the operator's web application hands out to who is signed in.
func (s *script) syncToken(account, mail, mesh, slug string) string {
	s.t.Helper()
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"sub": account, "email": mail, "jti": identity.NewID(), "iat": now, "exp": now + 600,
		"meshes": []any{map[string]any{"id": mesh, "slug": slug, "role": "admin"}},
	})
	s.must(err)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(webAppSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
