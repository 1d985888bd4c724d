package feature

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

func sealed(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

func keeping(key string, n int, more string) string {
	return fmt.Sprintf(`{"type":"vault_set","_reqId":1,"key":%s,"ciphertext":%q,"nonce":%q,"sealed_key":%q%s}`,
		quoted(key), sealed(n), sealed(24), sealed(80), more)
}

// allowVault gives a member the permission that members do not have by themselves.
func (r *rig) allowVault(member string) {
	r.t.Helper()
	r.edit(member, func(m *store.Member) { m.Permissions = store.Permissions{store.CanManageVault: true} })
}

func TestVaultLife(t *testing.T) {
	r := newRig(t)
	r.allowVault("bo")
	bo, sibling := r.join("bo"), r.join("bo", named("bo-2"))
	for range 2 { // it may be repeated
		answer, records := bo.ask(keeping("KEY_1", 20, `,"entry_type":"file","mount_path":"/run/x","description":"d"`))
		wantText(t, answer, `{"type":"vault_ack","_reqId":1,"key":"KEY_1","action":"stored"}`)
		wantList(t, "records", recorded(records), []string{`vault_stored {"key":"KEY_1"}`})
	}
	bo.ask(keeping("b", 16, ""))
	answer, _ := sibling.ask(`{"type":"vault_get","_reqId":"g","keys":["b","none","KEY_1"]}`)
	wantText(t, answer, fmt.Sprintf(`{"type":"vault_get_result","_reqId":"g","entries":[`+
		`{"key":"KEY_1","ciphertext":%q,"nonce":%q,"sealed_key":%q,"entry_type":"file","mount_path":"/run/x"},`+
		`{"key":"b","ciphertext":%q,"nonce":%[2]q,"sealed_key":%[3]q,"entry_type":"env","mount_path":null}]}`,
		sealed(20), sealed(24), sealed(80), sealed(16)))
	answer, _ = bo.ask(`{"type":"vault_get","_reqId":"g"}`)
	wantText(t, answer, `{"type":"vault_get_result","_reqId":"g","entries":[]}`)
	answer, _ = bo.ask(`{"type":"vault_list","_reqId":"l"}`)
	if !strings.HasPrefix(answer, `{"type":"vault_list_result","_reqId":"l","entries":[{"key":"KEY_1","entry_type":"file","mount_path":"/run/x","description":"d","updated_at":"2`) ||
		!strings.Contains(answer, `{"key":"b","entry_type":"env","mount_path":null,"description":null,"updated_at":"2`) || strings.Contains(answer, sealed(20)) {
		t.Errorf("got %s", answer)
	}
	for _, action := range []string{"deleted", "not_found"} {
		answer, _ = sibling.ask(`{"type":"vault_delete","_reqId":"d","key":"b"}`)
		wantText(t, answer, `{"type":"vault_ack","_reqId":"d","key":"b","action":"`+action+`"}`)
	}
}

// Nobody gets the secrets of another member, the owner and admins included.
func TestVaultIsTheMembersOwn(t *testing.T) {
	r := newRig(t)
	r.allowVault("bo")
	bo := r.join("bo")
	bo.ask(keeping("k", 20, ""))
	for _, name := range []string{"ada", "gil"} {
		p := r.join(name)
		for frame, want := range map[string]string{
			`{"type":"vault_get","keys":["k"]}`: `{"type":"vault_get_result","entries":[]}`,
			`{"type":"vault_list"}`:             `{"type":"vault_list_result","entries":[]}`,
			`{"type":"vault_delete","key":"k"}`: `{"type":"vault_ack","key":"k","action":"not_found"}`,
		} {
			got, _ := p.ask(frame)
			wantText(t, got, want)
		}
	}
	if got, _ := bo.ask(`{"type":"vault_get","keys":["k"]}`); !strings.Contains(got, sealed(20)) {
		t.Errorf("got %s", got)
	}
}

func TestFlawExt28VaultNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for _, frame := range []string{keeping("k", 20, ""), `{"type":"vault_delete","key":"k","_reqId":1}`} {
		got, _ := bo.ask(frame)
		wantText(t, got, `{"type":"error","_reqId":1,"code":"forbidden","message":"you do not have the permission canManageVault in this mesh: ask its owner or an admin for it"}`)
	}
	// What is its own it may read.
	got, _ := bo.ask(`{"type":"vault_list","_reqId":1}`)
	wantText(t, got, `{"type":"vault_list_result","_reqId":1,"entries":[]}`)
}

func TestFlawExt44SecretIsRefusedAloud(t *testing.T) {
	r := newRig(t)
	ada := r.join("ada")
	set := func(key, ciphertext, nonce, sealedKey, more string) string {
		return fmt.Sprintf(`{"type":"vault_set","_reqId":1,"key":%q,"ciphertext":%q,"nonce":%q,"sealed_key":%q%s}`, key, ciphertext, nonce, sealedKey, more)
	}
	for _, tt := range []struct{ name, frame, want string }{
		{"no nonce", `{"type":"vault_set","_reqId":1,"key":"k","ciphertext":"` + sealed(20) + `","sealed_key":"` + sealed(80) + `"}`, "nonce: is required: want a string"},
		{"a key with a blank", set("a b", sealed(20), sealed(24), sealed(80), ""), "key: want one or more of A-Z, a-z, 0-9, _, . and -"},
		{"no key", set("", sealed(20), sealed(24), sealed(80), ""), "key: want one or more of A-Z, a-z, 0-9, _, . and -"},
		{"plaintext", set("k", "my password", sealed(24), sealed(80), ""), "ciphertext: want base64 of at least 16 bytes: seal the secret before you send it"},
		{"plaintext in base64", set("k", "cGFzc3dvcmQ=", sealed(24), sealed(80), ""), "ciphertext: want base64 of at least 16 bytes: seal the secret before you send it"},
		{"a short nonce", set("k", sealed(20), sealed(23), sealed(80), ""), "nonce: want base64 of exactly 24 bytes: seal the secret before you send it"},
		{"a bare key", set("k", sealed(20), sealed(24), sealed(32), ""), "sealed_key: want base64 of at least 48 bytes: seal the secret before you send it"},
		{"a path that climbs", set("k", sealed(20), sealed(24), sealed(80), `,"mount_path":"../x"`), "mount_path: want a path without .."},
		{"another type", set("k", sealed(20), sealed(24), sealed(80), `,"entry_type":"x"`), `entry_type: want "env" or "file"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := ada.ask(tt.frame)
			wantText(t, got, `{"type":"error","_reqId":1,"code":"invalid","message":`+quoted(tt.want)+`}`)
		})
	}
	got, _ := ada.ask(`{"type":"vault_get","_reqId":1,"keys":[7]}`)
	if !strings.HasPrefix(got, `{"type":"vault_get_result","_reqId":1,"entries":[],"error":"invalid: keys`) {
		t.Errorf("got %s", got)
	}
}

func TestFlawExt31VaultHasRoom(t *testing.T) {
	r := newRig(t)
	ada := r.join("ada")
	for i := range secretsPerMember {
		ada.ask(keeping(fmt.Sprint(i), 20, ""))
	}
	got, _ := ada.ask(keeping("more", 20, ""))
	wantText(t, got, `{"type":"error","_reqId":1,"code":"capacity","message":"200 secrets of the vault are yours, and that is all a member may have: delete some"}`)
	got, _ = ada.ask(keeping("0", 21, ""))
	wantText(t, got, `{"type":"vault_ack","_reqId":1,"key":"0","action":"stored"}`)
	got, _ = r.join("gil").ask(keeping("more", 20, ""))
	wantText(t, got, `{"type":"vault_ack","_reqId":1,"key":"more","action":"stored"}`)
}

// leakyVault fails with what a database would say, parameters and all.
type leakyVault struct{ VaultStore }

var errLeaky = errors.New(`insert into "vault_entry" values ('c2VjcmV0')`)

func (leakyVault) SetVaultEntry(context.Context, *store.VaultEntry, store.Room) error {
	return errLeaky
}

func (leakyVault) VaultEntries(context.Context, string, string) ([]*store.VaultEntry, error) {
	return nil, errLeaky
}

func TestFlawExt30VaultErrorsSayNothingOfTheStore(t *testing.T) {
	r := newRig(t)
	reg := NewRegistry()
	reg.roster = r.roster
	Vault(reg, leakyVault{})
	const away = "the broker cannot reach its store: try again in a moment"
	for frame, want := range map[string]string{
		keeping("k", 20, ""):               `{"type":"error","_reqId":1,"code":"unavailable","message":"` + away + `"}`,
		`{"type":"vault_list","_reqId":1}`: `{"type":"vault_list_result","_reqId":1,"entries":[],"error":"unavailable: ` + away + `"}`,
	} {
		got, _ := r.join("ada").askOf(reg, frame)
		wantText(t, got, want)
	}
}

// Whatever is set and asked for, it is answered in its own shape or refused
// aloud, and what was set comes back.
func TestVaultProperty(t *testing.T) {
	r := newRig(t)
	peers, model := []*peer{r.join("ada"), r.join("gil")}, []map[string]string{{}, {}}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 1).Draw(rt, "peer")
		key := rapid.OneOf(rapid.SampledFrom([]string{"a", "B", "c.d-e_1"}), rapid.String()).Draw(rt, "key")
		switch rapid.IntRange(0, 2).Draw(rt, "what") {
		case 0:
			text := rapid.OneOf(rapid.Just(sealed(16)), rapid.Just(sealed(17)), rapid.String()).Draw(rt, "ciphertext")
			frame := fmt.Sprintf(`{"type":"vault_set","_reqId":1,"key":%s,"ciphertext":%s,"nonce":%q,"sealed_key":%q}`,
				quoted(key), quoted(text), sealed(24), sealed(80))
			switch answer, _ := peers[n].ask(frame); {
			case strings.HasPrefix(answer, `{"type":"vault_ack"`):
				model[n][key] = text
			case !strings.HasPrefix(answer, `{"type":"error","_reqId":1,"code":"invalid"`) && !strings.Contains(answer, `"code":"capacity"`):
				rt.Fatalf("got %s", answer)
			}
		case 1:
			answer, _ := peers[n].ask(`{"type":"vault_delete","_reqId":1,"key":` + quoted(key) + `}`)
			if _, there := model[n][key]; strings.Contains(answer, `"action":"deleted"`) != there {
				rt.Fatalf("there: %v, got %s", there, answer)
			}
			delete(model[n], key)
		case 2:
			answer, _ := peers[n].ask(`{"type":"vault_get","_reqId":1,"keys":[` + quoted(key) + `]}`)
			got, err := wire.Decode[wire.VaultGetResult]([]byte(answer))
			want, there := model[n][key]
			if err != nil || (len(got.Entries) == 1) != there || there && got.Entries[0].Ciphertext != want {
				rt.Fatalf("want %q, got %s, %v", want, answer, err)
			}
		}
	})
}
