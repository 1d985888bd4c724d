package webhookaudit

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Bounds of options.
const (
	mostEvents   = 10_000
	shortestKey  = 16 // bytes of a secret
	leastSpill   = 1 * MiB
	leastMemory  = 256 * KiB
	secretPrefix = "whsec_"
)

// Options are the options of the observer.
type Options struct {
	URL       string          `json:"url" doc:"where batches are posted: https, or http to this machine"`
	SecretEnv string          `json:"secret_env" doc:"name of the environment variable with the secret that signs batches; the link's plugin.env has to list it. whsec_ and base64, or any text of at least 16 bytes"`
	MaxEvents int             `json:"max_events" jsonschema:"minimum=1,maximum=10000" doc:"most events of a batch"`
	MaxWait   plugin.Duration `json:"max_wait" doc:"how long an event waits for others of its batch"`
	Kinds     []sdk.Kind      `json:"kinds,omitempty" doc:"kinds of envelope to tell of, such as send or http.*; empty: all"`
	Verdicts  []string        `json:"verdicts" jsonschema:"enum=answer,enum=deny,enum=drop" doc:"outcomes to tell of: answer (done), deny (refused), drop (dropped in silence)"`
	SpillDir  string          `json:"spill_dir,omitempty" doc:"directory for batches that the endpoint has not taken; an absolute path, used by this link alone. Empty: they wait in memory and a restart loses them"`
	SpillMax  Size            `json:"spill_max" doc:"most bytes in spill_dir; beyond, the oldest batches are dropped and counted. At least 1MiB"`
	SpillSync bool            `json:"spill_sync" doc:"whether each batch is on disk, safe from a power cut, before it is posted. Without it a power cut may lose batches; a crash of the program does not"`
	MemoryMax Size            `json:"memory_max" doc:"most bytes of events in memory; beyond, the oldest are dropped and counted. At least 256KiB"`
	Timeout   plugin.Duration `json:"timeout" doc:"how long one post may take"`
	RetryMax  plugin.Duration `json:"retry_max" doc:"longest wait between two attempts"`
	CAFile    string          `json:"ca_file,omitempty" doc:"PEM file with the authorities to trust, in place of the system's; an absolute path"`
}

// Default returns the options of an observer about which the config says
// nothing. URL and SecretEnv have no default.
func Default() Options {
	return Options{
		MaxEvents: 100,
		MaxWait:   plugin.Duration(time.Second),
		Verdicts:  []string{sdk.Answer.String(), sdk.Deny.String(), sdk.Drop.String()},
		SpillMax:  256 * MiB,
		SpillSync: true,
		MemoryMax: 16 * MiB,
		Timeout:   plugin.Duration(10 * time.Second),
		RetryMax:  plugin.Duration(time.Minute),
	}
}

// Validate says all that is wrong with the options themselves.
func (o Options) Validate() error {
	var wrong []error
	bad := func(when bool, path, format string, args ...any) {
		if when {
			wrong = append(wrong, &plugin.OptionError{Path: path, Message: fmt.Sprintf(format, args...)})
		}
	}
	if err := checkURL(o.URL); err != nil {
		bad(true, "url", "%v", err)
	}
	bad(o.SecretEnv == "", "secret_env", "is empty; name the environment variable that holds the secret")
	bad(o.MaxEvents < 1 || o.MaxEvents > mostEvents, "max_events", "has to be from 1 to %d", mostEvents)
	bad(o.MaxWait < 0 || o.MaxWait > plugin.Duration(time.Hour), "max_wait", "has to be from 0s to 1h")
	bad(o.Timeout <= 0, "timeout", "has to be above 0s")
	bad(o.RetryMax <= 0, "retry_max", "has to be above 0s")
	bad(o.SpillDir != "" && !filepath.IsAbs(o.SpillDir), "spill_dir", "%q is no absolute path", o.SpillDir)
	bad(o.CAFile != "" && !filepath.IsAbs(o.CAFile), "ca_file", "%q is no absolute path", o.CAFile)
	bad(o.SpillMax < leastSpill, "spill_max", "has to be at least 1MiB")
	bad(o.MemoryMax < leastMemory, "memory_max", "has to be at least 256KiB")
	bad(len(o.Verdicts) == 0, "verdicts", "is empty; list some of answer, deny, drop")
	for i, name := range o.Verdicts {
		_, ok := verdictOf(name)
		bad(!ok, fmt.Sprintf("verdicts.%d", i), "%q is none of answer, deny, drop", name)
	}
	for i, k := range o.Kinds {
		bad(k == "" || strings.Contains(strings.TrimSuffix(string(k), "*"), "*"),
			fmt.Sprintf("kinds.%d", i), "%q is no kind; a star may only be at the end", k)
	}
	return errors.Join(wrong...)
}

// checkURL wants a URL to which events may go over a network.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("has to be an address such as https://audit.example.com/hook")
	case u.User != nil:
		return errors.New("has a name or a password in it; the signature tells who is calling")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("http is only for this machine; use https")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func verdictOf(name string) (sdk.Verdict, bool) {
	for _, v := range []sdk.Verdict{sdk.Answer, sdk.Deny, sdk.Drop} {
		if name == v.String() {
			return v, true
		}
	}
	return sdk.Undecided, false
}

// secret reads the secret from the environment.
func (o *Options) secret() ([]byte, error) {
	bad := func(format string, args ...any) error {
		return &plugin.OptionError{Path: "secret_env", Message: fmt.Sprintf(format, args...)}
	}
	text := os.Getenv(o.SecretEnv)
	if text == "" {
		return nil, bad("the environment variable %s is not set; set it for the broker, and list it in the link's plugin.env", o.SecretEnv)
	}
	key := []byte(text)
	if encoded, ok := strings.CutPrefix(text, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, bad("what follows whsec_ in %s is no base64", o.SecretEnv)
		}
	}
	if len(key) < shortestKey {
		return nil, bad("the secret in %s has %d bytes; %d are the least", o.SecretEnv, len(key), shortestKey)
	}
	return key, nil
}

// authorities reads ca_file; nil are those of the system.
func (o *Options) authorities() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, &plugin.OptionError{Path: "ca_file", Message: err.Error()}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &plugin.OptionError{Path: "ca_file", Message: "there is no PEM certificate in " + o.CAFile}
	}
	return pool, nil
}
