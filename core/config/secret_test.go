package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// However a secret is printed, alone or inside of something, it does not show.
func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2"
	secret := Secret(text)
	c := Default()
	c.EncryptionKey, c.Store.URL = secret, secret

	var out bytes.Buffer
	for _, v := range []any{secret, &secret, c, &c, []Secret{secret}, map[string]Secret{"a": secret}, fmt.Errorf("no: %v", secret)} {
		for _, verb := range "vsqxXdtbcoUeEfFgGT" {
			for _, flags := range []string{"", "+", "#", " ", "-20", "020", ".3"} {
				fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
			}
		}
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
			b, err := marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(b)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
	}
	l, err := Load(Options{
		File:    []byte("store: {url: postgres://u:" + text + "@h/d}\npipeline: [{stage: a, with: {password: " + text + ", deep: {api_key: " + text + "}}}]"),
		Environ: []string{"BROKER_ENCRYPTION_KEY=" + strings.Repeat("ab", 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(l.YAML())
	for _, shown := range []string{text, "hun", "68756e", "68 75", "104 117", "abab"} {
		if i := strings.Index(out.String(), shown); i >= 0 {
			t.Errorf("%s shows: …%s", shown, out.String()[max(0, i-80):min(out.Len(), i+40)])
		}
	}
	if secret.Reveal() != text {
		t.Error("the secret is lost")
	}
	if got := fmt.Sprintf("%v %s %q %#v", Secret(""), Secret(""), Secret(""), secret); got != `  "" config.Secret("***")` {
		t.Errorf("got %s", got)
	}
}
