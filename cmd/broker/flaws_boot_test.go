package main

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
)

// Tests of the flaws of the original that were in how it starts. The list of all
// of them is checked in core/app.

// No broker started unless a variable of the file storage was set.
func TestFlaw34BootNeedsFileStorage(t *testing.T) {
	t.Parallel()
	account := []string{"MINIO_ACCESS_KEY=claudemesh", "MINIO_SECRET_KEY=a secret of its own"}
	for name, environ := range map[string][]string{
		"nothing":                       nil,
		"no word on TLS":                append(account, "MINIO_ENDPOINT=127.0.0.1:1"),
		"a text that was a flag":        {"MINIO_USE_SSL=false"},
		"a flag that says nothing":      {"MINIO_USE_SSL="},
		"nothing that could be reached": append(account, "MINIO_ENDPOINT=127.0.0.1:1", "QDRANT_URL=http://127.0.0.1:1", "NEO4J_URL=bolt://127.0.0.1:1", "RUNNER_URL=http://127.0.0.1:1"),
	} {
		t.Run("it starts with "+name, func(t *testing.T) {
			x := newTerminal(t)
			x.environ = environ
			r, ws := x.serve()
			x.ok("health", "--ready", "--url", strings.TrimSuffix(strings.Replace(ws, "ws://", "http://", 1), "/ws"))
			r.end()
		})
	}
}

// A word about the file storage that means nothing, or half of an account, is not
// taken for anything: the broker says what it lacks.
func TestFileStorageIsSaidInFull(t *testing.T) {
	t.Parallel()
	for words, environ := range map[string][]string{
		"must be true, false or empty":                        {"MINIO_USE_SSL=perhaps"},
		"files.s3.access_key: and files.s3.secret_key are":    {"MINIO_ENDPOINT=minio:9000"},
		"files.s3.secret_key are both needed to use files.s3": {"MINIO_ENDPOINT=minio:9000", "MINIO_ACCESS_KEY=claudemesh"},
	} {
		x := newTerminal(t)
		x.environ = environ
		x.fails(exitFailed, words, x.on("serve", "--listen", "127.0.0.1:0")...)
	}
}

// Secrets had defaults that everybody knows, or none, and nobody looked at them
// before the first use.
func TestFlaw56WeakSecrets(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	serve := x.on("serve", "--listen", "127.0.0.1:0")
	production := []string{"NODE_ENV=production", "BROKER_PUBLIC_URL=https://mesh.example.org"}
	for name, tt := range map[string]struct {
		environ []string
		words   string
	}{
		"no encryption key":        {production, "encryption_key"},
		"a short encryption key":   {append([]string{"BROKER_ENCRYPTION_KEY=changeme"}, production...), "encryption_key"},
		"a key that is no hex":     {append([]string{"BROKER_ENCRYPTION_KEY=" + strings.Repeat("zz", 32)}, production...), "encryption_key"},
		"a key of zeros":           {append([]string{"BROKER_ENCRYPTION_KEY=" + strings.Repeat("00", 32)}, production...), "encryption_key"},
		"a short signing secret":   {append([]string{"BROKER_ENCRYPTION_KEY=" + productionKey, "CLI_SYNC_SECRET=changeme"}, production...), "http.sync_secret"},
		"a short secret on trial":  {[]string{"CLI_SYNC_SECRET=changeme"}, "http.sync_secret"},
		"a secret of 31 bytes":     {[]string{"CLI_SYNC_SECRET=" + strings.Repeat("s", 31)}, "http.sync_secret"},
		"a short key, on trial":    {[]string{"BROKER_ENCRYPTION_KEY=changeme"}, "encryption_key"},
		"an odd number of letters": {[]string{"BROKER_ENCRYPTION_KEY=" + strings.Repeat("a", 63)}, "encryption_key"},
	} {
		t.Run("it does not start with "+name, func(t *testing.T) {
			x := *x
			x.t, x.environ = t, tt.environ
			x.fails(exitFailed, tt.words, serve...)
		})
	}
	for _, secret := range []config.Secret{config.Default().EncryptionKey, config.Default().HTTP.SyncSecret, config.Default().Store.URL} {
		if secret.Reveal() != "" {
			t.Error("a secret has a default")
		}
	}
	if out := x.ok("config", "print"); strings.Contains(out, "changeme") {
		t.Errorf("the defaults say changeme:\n%s", out)
	}
}
