package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// Secrets lay in the database as they are, and each invite's token, which holds the
// mesh's root key, beside them. (Who has an invite has the key: that is the
// protocol's.)
func TestFlaw13SecretsInTheClear(t *testing.T) {
	f := newFlawRig(t, nil)
	body := flawJSON(map[string]any{"name": "Vault", "pubkey": freshKey()})
	made := f.wantDone("POST", "/cli/mesh/create", flawBearer(f.ann), body)
	mesh, err := f.store.Mesh(t.Context(), made["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	device, _, session := f.begin()
	f.wantDone("POST", "/cli/device-code/"+session+"/approve", flawBearer(f.ann), "{}")
	bearer := f.poll(device)["session_token"].(string)
	pasted := f.wantDone("POST", "/cli/token", flawBearer(f.ann), "{}")["token"].(string)
	code := identity.NewCode()
	if err := f.store.CreateCode(t.Context(), identity.HashCode(code), "ann", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	invited := f.wantDone("POST", "/cli/mesh/"+mesh.ID+"/invite", flawBearer(f.ann), "{}")["code"].(string)
	invite := f.wantDone("GET", "/i/"+invited, nil, "")["token"].(string)
	payload, err := identity.ParseToken(invite)
	if err != nil {
		t.Fatal(err)
	}
	root, err := base64.RawURLEncoding.DecodeString(payload.MeshRootKey)
	if err != nil || len(root) != 32 {
		t.Fatalf("root key %q, %v", payload.MeshRootKey, err)
	}
	owner, err := atRest.OpenFor(identity.OwnerSecretAtRest, mesh.ID, mesh.OwnerSecret)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{invite}
	for _, raw := range [][]byte{root, owner} {
		secrets = append(secrets, string(raw), hex.EncodeToString(raw), strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="),
			base64.RawURLEncoding.EncodeToString(raw))
	}
	_, signature, _ := strings.Cut(strings.TrimPrefix(bearer, strings.Split(bearer, ".")[0]+"."), ".")
	secrets = append(secrets, bearer, signature, pasted, device, code, identity.NormalizeCode(code))
	secrets = append(secrets, f.webhookSecrets()...)
	disk := f.disk()
	if !strings.Contains(disk, mesh.ID) {
		t.Fatal("the test reads the wrong files")
	}
	for i, secret := range secrets {
		if strings.Contains(disk, secret) {
			t.Errorf("secret %d lies in the store as it is: %q", i, secret)
		}
	}
}

// webhookSecrets makes a webhook that is signed, gives it another secret while the
// first is still good, and uses it. It returns all that opens it, in the forms that
// a store could have.
func (f *flawRig) webhookSecrets() (secrets []string) {
	f.t.Helper()
	s := f.joined(f.annMember)
	h := f.hook(s, `"name":"ci","signature":"body","target":"`+f.bobMember.RoutingKey().String()+`"`)
	first := h.Secret
	if status, answer := h.post(h.sign("", `{"a":1}`), `{"a":1}`); status != http.StatusOK {
		f.t.Fatalf("got %d, %v", status, answer)
	}
	var next hook
	if err := json.Unmarshal([]byte(s.ask(`{"type":"rotate_webhook","name":"ci","grace":3600}`, "webhook_ack")), &next); err != nil || len(next.Secret) != 64 || next.Secret == first {
		f.t.Fatalf("got %+v, %v", next, err)
	}
	for _, secret := range []string{first, next.Secret, h.SigningKey} {
		raw, err := hex.DecodeString(secret)
		if err != nil || len(raw) != 32 {
			f.t.Fatalf("secret %q, %v", secret, err)
		}
		secrets = append(secrets, secret, string(raw), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString(raw),
			base64.RawURLEncoding.EncodeToString(raw))
	}
	for _, secret := range secrets {
		if strings.Contains(f.log.String(), secret) {
			f.t.Errorf("the log has a secret of a webhook: %q", secret)
		}
	}
	return secrets
}
