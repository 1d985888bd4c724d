package webhookaudit

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/sdk"
)

func TestOptionsSayWhatIsWrong(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("SHORT", "short")
	t.Setenv("NO_BASE64", "whsec_*")
	tests := []struct {
		want   string
		change func(*Options)
	}{
		{"url: has to be an address", func(o *Options) { o.URL = "" }},
		{"url: has to be an address", func(o *Options) { o.URL = "ftp://example.com" }},
		{"url: http is only for this machine", func(o *Options) { o.URL = "http://example.com/hook" }},
		{"url: http is only for this machine", func(o *Options) { o.URL = "http://127.0.0.1.example.com/hook" }},
		{"url: has a name or a password", func(o *Options) { o.URL = "https://me:pw@example.com/hook" }},
		{"secret_env: is empty", func(o *Options) { o.SecretEnv = "" }},
		{"secret_env: the environment variable NOT_SET is not set", func(o *Options) { o.SecretEnv = "NOT_SET" }},
		{"secret_env: the secret in SHORT has 5 bytes", func(o *Options) { o.SecretEnv = "SHORT" }},
		{"secret_env: what follows whsec_", func(o *Options) { o.SecretEnv = "NO_BASE64" }},
		{"max_events: ", func(o *Options) { o.MaxEvents = 0 }},
		{"max_wait: ", func(o *Options) { o.MaxWait = -1 }},
		{"timeout: ", func(o *Options) { o.Timeout = 0 }},
		{"retry_max: ", func(o *Options) { o.RetryMax = 0 }},
		{"spill_dir: ", func(o *Options) { o.SpillDir = "spill" }},
		{"spill_max: ", func(o *Options) { o.SpillMax = 10 }},
		{"memory_max: ", func(o *Options) { o.MemoryMax = 10 }},
		{"ca_file: ", func(o *Options) { o.CAFile = "ca.pem" }},
		{"ca_file: ", func(o *Options) { o.CAFile = filepath.Join(t.TempDir(), "none") }},
		{"verdicts: is empty", func(o *Options) { o.Verdicts = nil }},
		{"verdicts.1: ", func(o *Options) { o.Verdicts = []string{"deny", "continue"} }},
		{"kinds.0: ", func(o *Options) { o.Kinds = []sdk.Kind{"a*b"} }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := New(r.options(tt.change))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	for _, good := range []string{"http://127.0.0.1:80/x", "http://[::1]:80/x", "http://localhost/x", "https://example.com"} {
		if _, err := New(r.options(func(o *Options) { o.URL = good })); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// The vector is that of the Standard Webhooks specification's reference
// implementations.
func TestSign(t *testing.T) {
	t.Setenv("VECTOR", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	o := Options{SecretEnv: "VECTOR"}
	key, err := o.secret()
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1000": 1000, "64MiB": 64 * MiB, "2 GiB": 2 * GiB, "512KiB": 512 * KiB} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
		again, err := got.MarshalText()
		var back Size
		if err != nil || back.UnmarshalText(again) != nil || back != got {
			t.Errorf("%s is written as %s", text, again)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "1MB", "9999999999999GiB"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}
