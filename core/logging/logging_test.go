package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/sdk"
)

// spanOf is a context with a span of these ids.
func spanOf(t *testing.T, flags trace.TraceFlags) context.Context {
	t.Helper()
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: flags,
	}))
}

func TestLinesOfJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, _ := logging.New(&out, config.Log{Level: "info", Format: config.JSON})
	log.Debug("too little")
	log.With(slog.String("link", "auth")).InfoContext(spanOf(t, trace.FlagsSampled), "it happened",
		slog.Int("peers", 3), slog.Any("err", errors.New("why")), slog.Any("changes", []string{"a", "<b>"}), slog.Duration("after", time.Second))
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%v in %s", err, out.String())
	}
	if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || time.Since(at) > time.Hour {
		t.Errorf("time %v", got["time"])
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "it happened", "link": "auth", "peers": 3.0, "err": "why", "changes": []any{"a", "<b>"}, "after": 1e9,
		"trace_id": "01020300000000000000000000000000", "span_id": "0405000000000000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestJoins holds which lines have the ids of a trace.
func TestJoins(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"without a span":                            {t.Context(), false},
		"of a span that is recorded":                {spanOf(t, trace.FlagsSampled), true},
		"of one that is not, but which others have": {spanOf(t, 0), true},
		"of one that is not valid":                  {trace.ContextWithSpanContext(t.Context(), trace.SpanContext{}), false},
	} {
		for _, format := range []config.Format{config.JSON, config.Text} {
			var out bytes.Buffer
			log, _ := logging.New(&out, config.Log{Level: "debug", Format: format})
			log.DebugContext(tt.ctx, "it happened")
			if got := strings.Contains(out.String(), "0102030"); got != tt.want {
				t.Errorf("%s, %s: %s", name, format, out.String())
			}
		}
	}
}

// TestJoiningIsFree holds that a line without a span costs no allocation more
// than without us.
func TestJoiningIsFree(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "a context that is not empty")
	count := func(log *slog.Logger) float64 {
		least := math.Inf(1)
		for range 300 { // the race detector has pools forget now and then
			least = min(least, testing.AllocsPerRun(3, func() {
				log.LogAttrs(ctx, slog.LevelInfo, "it happened", slog.Int("n", 1), slog.Bool("b", true))
			}))
		}
		return least
	}
	var sink discard
	ours, _ := logging.New(sink, config.Log{Level: "info"})
	if bare, got := count(slog.New(slog.NewJSONHandler(sink, nil))), count(ours); got > bare {
		t.Errorf("%v allocations, %v without us", got, bare)
	}
	if n := testing.AllocsPerRun(100, func() { ours.DebugContext(ctx, "nothing") }); n != 0 {
		t.Errorf("%v allocations for a line that is not written", n)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// TestNoSecretIsWritten tries the doors that no type of a secret can close.
func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2"
	type hidden struct {
		Name   string
		secret config.Secret
	}
	type shown struct {
		Secret config.Secret
		Deep   map[string]config.Secret
	}
	for name, value := range map[string]any{
		"a secret":                        config.Secret(text),
		"a secret in an exported field":   shown{config.Secret(text), map[string]config.Secret{"a": text}},
		"a secret in an unexported field": hidden{"x", text},
		"a pointer to one":                &hidden{"x", text},
		"a list of them":                  []hidden{{"x", text}},
		"an error of one":                 fmt.Errorf("no: %w", fmt.Errorf("%v", config.Secret(text))),
		"bytes":                           []byte(text),
		"an array":                        [14]byte([]byte(text)),
		"a URL with a password":           "connect to postgres://ada:" + text + "@db/mesh",
		"an error with such a URL":        fmt.Errorf("parse %q: invalid port", "nats://ada:"+text+"@db:x"),
		"one without a user":              errors.New("redis://:" + text + "@db"),
		"one in a value's text":           text2{"https://x:" + text + "@db"},
		"one with a quote":                errors.New("dial postgres://u:a'" + text + "@db/x"),
		"one with two":                    errors.New(`dial postgres://u:a"` + text + "@db"),
		"one with a slash":                "postgres://u:a/" + text + "@db/x",
		"one with a hash":                 "postgres://u:a#" + text + "@db/x",
		"one with an at":                  "postgres://u:" + text + "@" + text + "@db/x",
		"a token alone":                   "dial nats://" + text + "@nats:4222",
		"one of several URLs":             "nats://a:4222,nats://" + text + "@b:4222,nats://c@d",
		"a setting in a URL":              "postgres://db/x?user=u&password=" + text + "&sslmode=bogus",
		"a setting of a key":              "postgres://db/x?sslpassword=" + text,
		"settings":                        errors.New("cannot parse `host=db PASSWORD = '" + `it\'s ` + text + "' user=u`"),
		"settings at the end":             errors.New("cannot parse `host=db password=" + text + "`"),
		"a list of URLs":                  []string{"nats://a:4222", "nats://" + text + "@b"},
		"a map of URLs":                   map[string]string{"nats": "nats://" + text + "@b", "z": "x@y"},
		"one in a field":                  struct{ URL string }{"https://x:" + text + "@db"},
	} {
		for _, format := range []config.Format{config.JSON, config.Text} {
			var out bytes.Buffer
			log, _ := logging.New(&out, config.Log{Level: "info", Format: format})
			log.Info("it happened", slog.Any("v", value), slog.Group("in", slog.Any("a_group", value)))
			log.With(slog.Any("v", value)).WithGroup("in").Info("and again", slog.Any("v", value))
			for _, trace := range []string{text, "aHVudGVyMmh1bnRlcjI", "104 117", "68756e"} {
				if strings.Contains(out.String(), trace) {
					t.Errorf("%s, %s: %s", name, format, out.String())
				}
			}
			if strings.Count(out.String(), "it happened") != 1 {
				t.Errorf("%s, %s: no line: %s", name, format, out.String())
			}
		}
	}
}

// text2 is a value with a text of its own.
type text2 struct{ text string }

func (t text2) String() string { return t.text }

// TestWhatIsLeftAlone holds that what is no secret is written as it is.
func TestWhatIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"an address with a user": {"mailto:a@b", `"v":"mailto:a@b"`},
		"a URL without a user":   {"wss://mesh.example.org:443/ws", `"v":"wss://mesh.example.org:443/ws"`},
		"a user may be a token":  {"nats://ada@db", `"v":"nats://***@db"`},
		"a password is masked":   {"nats://ada:x@db/y is down", `"v":"nats://***@db/y is down"`},
		"a setting":              {"set password= of a@b", `"v":"set password= *** a@b"`},
		"an address elsewhere":   {"wss://mesh.example.org is a@b's", `"v":"wss://mesh.example.org is a@b's"`},
		"texts of a map":         {map[string]string{"u": "nats://h", "z": "a@b"}, `"v":{"u":"nats://h","z":"a@b"}`},
		"a public key":           {sdk.Key{1}, `"v":"01` + strings.Repeat("00", 31) + `"`},
		"a struct":               {struct{ A int }{1}, `"v":"(struct { A int })"`},
		"bytes":                  {[]byte("abc"), `"v":"([]uint8)"`},
		"a list":                 {[]int{1, 2}, `"v":[1,2]`},
		"a map":                  {map[string]bool{"a": true}, `"v":{"a":true}`},
		"a list of lists":        {[][]int{{1}}, `"v":"([][]int)"`},
		"nothing":                {nil, `"v":null`},
		"what cannot be encoded": {func() {}, `"v":"(func())"`},
		"an error that is nil":   {(*config.Problems)(nil), `"v":`},
	} {
		var out bytes.Buffer
		log, _ := logging.New(&out, config.Log{Level: "info"})
		log.Info("it happened", slog.Any("v", tt.value))
		if !strings.Contains(out.String(), tt.want) || !json.Valid(out.Bytes()) {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}
