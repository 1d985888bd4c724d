package app_test

import (
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// oneOf matches one of some words.
func oneOf(words string) *regexp.Regexp { return regexp.MustCompile(`^(` + words + `)$`) }

// labelBounds are the values that each label of a family may have, by "family
// label" or, for all families, by "label". Who adds a label says here why a
// stranger cannot choose its values.
func labelBounds() map[string]*regexp.Regexp {
	link := oneOf("auth|legacy-auth|grants|rate-limit|route|audit|hours") // the config's
	verdict := oneOf("continue|deny|drop|answer|failed")
	return map[string]*regexp.Regexp{
		"stage": link, "link": link, "verdict": verdict, "shadow": verdict, "chain": verdict,
		"priority": oneOf("now|next|low"), "cap": oneOf("dm|broadcast"), "way": oneOf("direct|queue"), "required": oneOf("true|false"),
		"policy": oneOf("fail_open|fail_closed|fallback"), "held": oneOf("true|false"),
		"phase": oneOf("starting|up|waiting|quarantined|stopped"), "trigger": oneOf("signal|file|command"), "by": oneOf("ratio|peer|refused"),
		"status": oneOf("[1-5][0-9][0-9]"),
		"route":  oneOf(`|(GET|POST|PUT|PATCH|DELETE) /[a-z/{}_.-]*`),
		"kind":   oneOf(`\*|[a-z_.]+\*?`), // those that a stage names: see the words that must not appear
		"reason": oneOf(`[a-z_]+`),        // codes: as above
		"outcome": oneOf("sent|late|again|refused" + // schedules; then questions, watches, webhooks and statements
			"|answered|away|busy|unread|illegible|left|lost" + "|first|same|changed|unreachable|unreadable|failed" +
			"|nobody|unproved|limited|malformed" + "|done|full|off|gone"),
		"statement":                 oneOf("query|execute"),
		"result":                    oneOf("applied|refused|decided|done|failed|sent|taken|dropped"),
		"broker_build_info version": oneOf("test"), "broker_build_info revision": oneOf("abc"),
		"broker_build_info go_version": oneOf(regexp.QuoteMeta(runtime.Version())), "go_info version": oneOf(regexp.QuoteMeta(runtime.Version())),
		"le": oneOf(`[0-9.e+-]+|\+Inf`),
	}
}

// TestLabelsAreBounded has a stranger and a member try words wherever they can:
// none may become a label's value, and more of them make no more series.
func TestLabelsAreBounded(t *testing.T) {
	r := newEverything(t)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	mischief := func(word string) {
		for _, frame := range []string{
			`{"type":"send","priority":"` + word + `"}`, `{"type":"set_status","status":"` + word + `"}`, `{"` + word,
			`{"type":"send","targetSpec":"` + word + `","nonce":"n","ciphertext":"c"}`, `{"type":"message_status","messageId":"` + word + `"}`,
			`{"type":"` + word + `"}`, // last: what it is refused for tells that all were
		} {
			if err := ada.Write([]byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		r.request(http.MethodGet, "/"+word, "")
		r.request(http.MethodGet, "/i/"+word, "")
		r.request(strings.ToUpper(word), "/health", "")
		r.request(http.MethodPost, "/hook/set-status", `{"cwd":"/`+word+`","status":"`+word+`"}`)
	}
	const word = "mischief"
	refused := func(n int) func() bool {
		return func() bool { return r.app.Refused(sdk.ReasonUnknownType) == int64(n) }
	}
	mischief(word + "a")
	eventually(t, "the first words to be refused", refused(1))
	before := r.series(word)
	for i := range 20 {
		mischief(word + string(rune('b'+i)))
	}
	eventually(t, "all words to be refused", refused(21))
	if after := r.series(word); after != before {
		t.Errorf("%d series became %d", before, after)
	}
}

// series counts the samples of /metrics, after it has held each label to its
// bounds.
func (r *rig) series(word string) (n int) {
	r.t.Helper()
	bounds := labelBounds()
	for name, family := range r.scrape() {
		for _, m := range family.GetMetric() {
			n++
			for _, l := range m.GetLabel() {
				b := bounds[name+" "+l.GetName()]
				if b == nil {
					b = bounds[l.GetName()]
				}
				if b == nil {
					r.t.Errorf("%s: nothing says which values %s may have", name, l.GetName())
				} else if !b.MatchString(l.GetValue()) || strings.Contains(strings.ToLower(l.GetValue()), word) {
					r.t.Errorf("%s: %s is %q, want one of %s", name, l.GetName(), l.GetValue(), b)
				}
			}
		}
	}
	return n
}

// TestLag has one replica tell another of what happens.
func TestLag(t *testing.T) {
	a, b := newNodes(t, 2, nil).both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	bo := b.dial(session(b.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	eventually(t, "the nodes to know both", func() bool { return len(a.app.Views(a.mesh.ID)) == 2 })
	before := b.scrape()["broker_bus_lag_seconds"].GetMetric()[0].GetHistogram().GetSampleCount()
	start := time.Now()
	a.send(ada, bo.Key().String(), sdk.PriorityNow, "hello")
	b.wantText(bo, "hello")
	eventually(t, "a message of the bus to be counted", func() bool {
		h := b.scrape()["broker_bus_lag_seconds"].GetMetric()[0].GetHistogram()
		return h.GetSampleCount() > before && h.GetSampleSum() > 0 && h.GetSampleSum() < 60+time.Since(start).Seconds()
	})
}
