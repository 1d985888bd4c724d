package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Prefix begins the name of every environment variable that is made of a key:
// CLAUDEMESH_LIMITS__FRAME_BYTES sets limits.frame_bytes.
const Prefix = "CLAUDEMESH_"

// ConfigVariable names the file to load when no path is given.
const ConfigVariable = "CLAUDEMESH_CONFIG"

// VariableName returns the name of the environment variable that sets a key.
func VariableName(key string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

// Effect is what an environment variable does here.
type Effect uint8

// Effects of environment variables.
const (
	Sets    Effect = iota // sets its key
	Later                 // accepted with a warning: what it configures is not built yet
	Foreign               // another program's, which may run beside us: left alone
)

// Variable is an environment variable with a name of its own, beside the ones
// that are made of keys. One name may stand in several rows.
type Variable struct {
	Name     string
	Key      string // that it sets, or what it would have to do with
	Meaning  string
	Effect   Effect
	Original bool // a name that the original broker reads

	// form makes the key's own text of the variable's. Nil: they are the same.
	form func(text string) (string, error)
}

// Environment returns every variable with a name of its own. Rows are read in
// order, and a later one wins over an earlier one for the same key.
func Environment() []Variable {
	original := func(name, key, meaning string, form func(string) (string, error)) Variable {
		return Variable{Name: name, Key: key, Meaning: meaning, Original: true, form: form}
	}
	later := func(name, meaning string) Variable {
		return Variable{Name: name, Meaning: meaning, Original: true, Effect: Later}
	}
	foreign := func(name, meaning string) Variable {
		return Variable{Name: name, Meaning: meaning, Effect: Foreign}
	}
	return []Variable{
		original("BROKER_PORT", "listen", "port, on every interface", portForm),
		original("DATABASE_URL", "store.url", "PostgreSQL URL", nil),
		original("STATUS_TTL_SECONDS", "presence.status_ttl", "whole seconds", secondsForm),
		original("HOOK_FRESH_WINDOW_SECONDS", "presence.hook_fresh", "whole seconds", secondsForm),
		original("MAX_CONNECTIONS_PER_MESH", "limits.connections_per_mesh", "connections", nil),
		original("MAX_MESSAGE_BYTES", "limits.message_bytes", "bytes", nil),
		original("MAX_MESSAGE_BYTES", "limits.http_body_bytes", "bytes", nil),
		original("BROKER_PUBLIC_URL", "public_url", "http or https URL, turned into the WebSocket URL of the same host", publicForm),
		original("BROKER_URL", "public_url", "WebSocket URL; wins over BROKER_PUBLIC_URL", nil),
		original("BROKER_ENCRYPTION_KEY", "encryption_key", "64 hex digits", nil),
		original("BROKER_LEGACY_AUTH", "pipeline", "1 enables the link legacy-auth, 0 disables it", onForm),
		original("BROKER_SKIP_MIGRATE", "store.migrate", "1 leaves pending migrations alone", skipForm),
		original("EXPECTED_MIGRATION", "expected_migration", "version, file name or SHA-256", nil),
		original("NODE_ENV", "mode", "production is production; development and test are dev", nodeForm),
		original("GIT_SHA", "git_sha", "commit", nil),
		original("APP_URL", "http.app_url", "http or https URL", nil),
		original("HOOK_RATE_LIMIT_PER_MIN", "http.hook_rate", "calls a minute", minuteForm),
		original("BROKER_INVITE_V2_ENABLED", "http.claims", "1 lets invites be claimed by code, 0 does not", onForm),
		original("CLI_SYNC_SECRET", "http.sync_secret", "at least 32 bytes", nil),
		original("MINIO_ENDPOINT", "files.s3.endpoint", "host or host:port, whose port is 9000 when it is not given", minioForm),
		original("MINIO_ENDPOINT", "files.s3.tls", "no TLS, unless MINIO_USE_SSL says otherwise", plainForm),
		original("MINIO_ACCESS_KEY", "files.s3.access_key", "name of the account", nil),
		original("MINIO_SECRET_KEY", "files.s3.secret_key", "its key", nil),
		original("MINIO_USE_SSL", "files.s3.tls", "true, false or empty, which is false", sslForm),

		later("QDRANT_URL", "vector search"),
		later("NEO4J_URL", "the graph"),
		later("NEO4J_USER", "the graph"),
		later("NEO4J_PASSWORD", "the graph"),
		later("RUNNER_URL", "managed services"),
		later("CLAUDEMESH_SERVICES_DIR", "managed services"),
		later("MAX_SERVICES_PER_MESH", "managed services"),
		later("MAX_SERVICE_ZIP_BYTES", "managed services"),
		later("TELEGRAM_BOT_TOKEN", "the Telegram bridge"),
		later("TELEGRAM_BOT_USERNAME", "the Telegram bridge"),
		later("BROKER_WS_URL", "the Telegram bridge"),
		later("POSTMARK_API_KEY", "mail"),
		later("RESEND_API_KEY", "mail"),
		later("EMAIL_FROM", "mail"),

		{Name: ConfigVariable, Meaning: "path of the file, when the command line names none", Effect: Foreign},
		{Name: "XDG_DATA_HOME", Key: "data_dir", Meaning: "where data_dir lies when it is not set", Effect: Foreign},
		{Name: "HOME", Key: "data_dir", Meaning: "where data_dir lies when neither is set", Effect: Foreign},
		{Name: "ANTHROPIC_API_KEY", Meaning: "assistant of the Telegram bridge", Effect: Foreign, Original: true},
		foreign("CLAUDEMESH_API_URL", "client"),
		foreign("CLAUDEMESH_APPROVAL_MODE", "client"),
		foreign("CLAUDEMESH_BROKER_HTTP", "client"),
		foreign("CLAUDEMESH_BROKER_URL", "client"),
		foreign("CLAUDEMESH_CAPABILITY_TOKEN", "client"),
		foreign("CLAUDEMESH_CLAIM_URL", "client"),
		foreign("CLAUDEMESH_CONFIG_DIR", "client"),
		foreign("CLAUDEMESH_DAEMON_DIR", "client"),
		foreign("CLAUDEMESH_DAEMON_SOCK", "client"),
		foreign("CLAUDEMESH_DEBUG", "client"),
		foreign("CLAUDEMESH_DEV", "client"),
		foreign("CLAUDEMESH_DIR", "client"),
		foreign("CLAUDEMESH_DISPLAY_NAME", "client"),
		foreign("CLAUDEMESH_EVENT_ID", "client"),
		foreign("CLAUDEMESH_HOME", "client"),
		foreign("CLAUDEMESH_HOOK_DEBUG", "client"),
		foreign("CLAUDEMESH_HOOK_NAME", "client"),
		foreign("CLAUDEMESH_INTERNAL_NO_AUTOSPAWN", "client"),
		foreign("CLAUDEMESH_INVITE_V2", "client"),
		foreign("CLAUDEMESH_IPC_TOKEN", "client"),
		foreign("CLAUDEMESH_IPC_TOKEN_FILE", "client"),
		foreign("CLAUDEMESH_MESH", "client"),
		foreign("CLAUDEMESH_ROLE", "client"),
		foreign("CLAUDEMESH_SESSIONS_DIR", "client"),
		foreign("CLAUDEMESH_TELEMETRY", "client"),
	}
}

func portForm(text string) (string, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return "", fmt.Errorf("must be a port from 1 to 65535; got %s", show(text))
	}
	return ":" + strconv.FormatUint(port, 10), nil
}

func secondsForm(text string) (string, error) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return "", fmt.Errorf("must be a whole number of seconds; got %s", show(text))
	}
	return strconv.FormatUint(seconds, 10) + "s", nil
}

func minuteForm(text string) (string, error) {
	count, err := strconv.ParseUint(text, 10, 31)
	if err != nil || count == 0 {
		return "", fmt.Errorf("must be a whole number of calls a minute, at least 1; got %s", show(text))
	}
	return strconv.FormatUint(count, 10) + "/min", nil
}

// publicForm makes the WebSocket URL of a web URL: other scheme, and the path
// of the socket where none is given.
func publicForm(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("must be a URL such as https://mesh.example.org; got %s", show(text))
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	return u.String(), nil
}

func nodeForm(text string) (string, error) {
	switch text {
	case "production":
		return string(Production), nil
	case "development", "test":
		return string(Dev), nil
	}
	words := []string{"development", "production", "test"}
	return "", fmt.Errorf("must be %s; got %s%s", either(words), show(text), didYouMean(text, words))
}

func skipForm(text string) (string, error) {
	on, err := switchForm(text)
	return strconv.FormatBool(!on), err
}

func onForm(text string) (string, error) {
	on, err := switchForm(text)
	return strconv.FormatBool(on), err
}

// switchForm reads the original's switches: only 1 turns one on there, so that
// "true" left it off. Here it is an error, rather than either.
func switchForm(text string) (bool, error) {
	switch text {
	case "1":
		return true, nil
	case "0":
		return false, nil
	}
	return false, fmt.Errorf("must be 1 or 0; got %s", show(text))
}
