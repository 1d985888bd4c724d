package logging_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/bus/nats"
	buspg "github.com/claudemesh/broker/core/bus/postgres"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
)

// TestTypesDoNotPrint prints each type that has a secret in it in every way that
// fmt and the log have.
func TestTypesDoNotPrint(t *testing.T) {
	t.Parallel()
	const text = "5ec4e7b5ec4e7b5ec4e7b5ec4e7b5ec4" // hex, as the bytes below print
	raw, err := hex.DecodeString(text + text)
	if err != nil {
		t.Fatal(err)
	}
	secret := ed25519.NewKeyFromSeed(raw)
	keys := identity.NewAtRest([identity.AtRestKeySize]byte(raw))
	row := &store.Invite{Code: text, PlainToken: text}
	for _, v := range []any{
		config.Secret(text), keys, token.NewKeys([token.KeySize]byte(raw)),
		identity.InviteV1{MeshRootKey: text}, identity.ClaimProof{Code: text}, dial.Identity{Key: secret, SessionKey: secret},
		row, issue.Invite{Invite: row, Token: text},
		admin.Invite{Token: text, Link: text, Code: text}, admin.NewToken{Token: text, Code: text}, admin.NewMember{SecretKey: text},
		admin.NewMesh{Invite: text, Members: []admin.NewMember{{SecretKey: text}}},
		api.Join{Token: text}, api.MadeToken{Token: text}, api.SignInBegun{DeviceCode: text, UserCode: text}, api.SignInState{SessionToken: text},
		api.MakeToken{Code: text}, api.RevokeSession{Token: text}, api.SyncMeshes{Token: text}, api.PollSignIn{DeviceCode: text},
		api.ClaimInvite{Code: text}, api.CodeResolved{Token: text}, wire.APIKeyCreated{Secret: text},
		nats.Options{Password: text, Token: text, NKeyFile: "x"}, buspg.Options{URL: "postgres://u:" + text + "@h"}, postgres.Options{URL: "postgres://u:" + text + "@h"},
	} {
		var out bytes.Buffer
		for _, each := range []any{v, &v, []any{v}, map[string]any{"a": v}, struct{ Deep any }{v}, fmt.Errorf("no: %v", v), fmt.Errorf("no: %+v", v)} {
			for _, verb := range "vsqxXdtbcoUeEfFgGT" {
				for _, flags := range []string{"", "+", "#", " ", "-20"} {
					fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", each)
				}
			}
		}
		for _, format := range []config.Format{config.JSON, config.Text} {
			log, _ := logging.New(&out, config.Log{Level: "info", Format: format})
			log.Info("it happened", "v", v, "err", fmt.Errorf("no: %v", v))
			log.With("v", v).Info("it happened", "p", &v)
		}
		for _, shown := range []string{text[:8], "94 196", "[94", "0x5e, 0xc4", "5e c4", "NWVjNGU3", "XsTn"} {
			if i := strings.Index(out.String(), shown); i >= 0 {
				t.Errorf("%T shows %s: …%s", v, shown, out.String()[max(0, i-80):min(out.Len(), i+40)])
			}
		}
	}
}

// TestErrorsOfURLs holds that nobody who reads a URL with a password repeats it.
func TestErrorsOfURLs(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2"
	for _, url := range []string{
		"postgres://ada:" + text + "@h:port/d", "postgres://ada:" + text + "@[::1/d", "postgres://ada:" + text + "%zz@h/d",
		"postgres://ada:" + text + "@h/d?sslmode=never", "host=h user=ada password=" + text + " port=x", "host=h password='" + text,
		"postgres://ada:" + text + "@127.0.0.1:1/d?connect_timeout=1",
	} {
		var out bytes.Buffer
		log, _ := logging.New(&out, config.Log{Level: "info"})
		_, parseErr := pgx.ParseConfig(url)
		_, storeErr := postgres.Open(t.Context(), postgres.Options{URL: url})
		_, busErr := buspg.New(canceled(t), buspg.Options{URL: url, Log: log})
		for _, err := range []error{parseErr, storeErr, busErr, errors.Join(parseErr, storeErr)} {
			log.Error("it failed", "err", err)
			if err != nil && strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error has the password, and so will who prints it: %v", url, err)
			}
		}
		if strings.Contains(out.String(), text) {
			t.Errorf("%s: logged: %s", url, out.String())
		}
	}
}

// canceled is a context that is over: nothing waits for a server.
func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
