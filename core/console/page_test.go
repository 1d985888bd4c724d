package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/sdk"
)

// text is a page's words, without its elements.
func text(body string) string {
	return html.UnescapeString(strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")), " "))
}

// shown renders the page of a snapshot.
func shown(t *testing.T, source *fake, query string) string {
	t.Helper()
	r := open(t, source)
	r.enter()
	a := r.get("/console/" + query)
	if a.StatusCode != 200 {
		t.Fatalf("%s: %s", a.Status, a.body)
	}
	return a.body
}

// The page says everything without the script.
func TestPageWithoutScript(t *testing.T) {
	body := shown(t, busy(3), "")
	words := text(body)
	for _, want := range []string{
		"1 stage is down: score.",
		"Stage 1: auth ● Up", "legacy-auth ○ Disabled Envelopes do not visit it.", "scan ◐ In shadow plugin", "score ■ Quarantined plugin",
		"quarantined after 5 crashes in 60s", "On failure hold, then fail_open Deadline 50 ms",
		"wait until the stage is back, then let the envelope pass", "Would have decided otherwise 12", "Failed: error 812", "While it is down the broker is not ready",
		"Stage 9: audit ● Up Is told how envelopes end, and decides nothing. On failure fail_closed",
		"Refused outside the chain", "auth → grants → rate-limit → office-hours → scan → score → route → audit send",
		"not_granted bo has not granted dm to you: ask for it with grant", "ada in platform-0",
		"All 3 meshes.", "platform-0", "1,204 entries , head a001a001…",
		"loaded by file", "A reload now would change this rate-limit: with.send is 60/min, will be 120/min", "need a restart: limits.connections_per_mesh",
		"broker plugin resume score", "KeyError: 'weights'", "Ended by crash 5", "did not answer a probe for 5 s", "not pinned",
		"broker-a ● Alive this one", "broker-b ● Alive",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, want := range []string{`<noscript><meta http-equiv="refresh" content="10"></noscript>`, `<script src="assets/console.js?v=`, `lang="en"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if m := regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)=`).FindString(body); m != "" {
		t.Errorf("the policy forbids %s", m)
	}
	if t.Failed() {
		t.Log(words)
	}
}

// TestStoreThatHasNotAnswered: what is not known is not shown as nothing.
func TestStoreThatHasNotAnswered(t *testing.T) {
	f := empty()
	ask := f.SnapshotFn
	f.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := ask(n)
		s.StoreAt = time.Time{}
		return s, err
	}
	words := text(shown(t, f, ""))
	for _, untrue := range []string{"There are no meshes yet", "nothing waits", "This broker runs alone"} {
		if strings.Contains(words, untrue) {
			t.Errorf("the page says %q", untrue)
		}
	}
	if strings.Count(words, "ot known yet") < 3 {
		t.Errorf("the page says %s", words)
	}
}

func TestEmptyBroker(t *testing.T) {
	words := text(shown(t, empty(), ""))
	for _, want := range []string{
		"All is well 5 stages up.", "Nothing was refused since the start.", "There are no meshes yet: broker mesh create makes one.",
		"The chain has no plugin.", "This broker runs alone.", "A reload now would change nothing", "none: defaults and environment",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(shown(t, busy(70), ""), -1) {
		if seen[m[1]] {
			t.Errorf("two elements are %s", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) < 60 {
		t.Errorf("only %d ids were found", len(seen))
	}
}

// Whatever a link, a mesh or a replica is called, no other element has its id.
func TestNamesMakeNoIDOfThePage(t *testing.T) {
	fixed := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(shown(t, empty(), ""), -1) {
		fixed[m[1]] = true
	}
	source := empty()
	calm := source.SnapshotFn
	names := map[string]bool{}
	for id := range fixed {
		if _, name, ok := strings.Cut(id, "-"); ok {
			names[name] = true
		}
	}
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		for name := range names {
			s.Chain.Links = append(s.Chain.Links, linkOf(name, true, 0))
			s.Plugins = append(s.Plugins, Plugin{Link: name, Phase: "up"})
			s.Meshes = append(s.Meshes, Mesh{ID: name, Slug: name})
			s.Nodes = append(s.Nodes, Node{ID: name})
		}
		return s, err
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(shown(t, source, ""), -1) {
		if seen[m[1]] {
			t.Errorf("two elements are %s", m[1])
		}
		seen[m[1]] = true
	}
	if len(names) < 8 {
		t.Errorf("only %d names were tried", len(names))
	}
}

func TestWhatSendersSayIsText(t *testing.T) {
	const evil = `"><script>alert(1)</script>&'`
	source := empty()
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Broker.Host = evil
		s.Refusals = []refusals.Refusal{{Seq: 1, At: time.Now(), Name: evil, Kind: evil, Text: evil, Reason: evil, TraceID: evil, Mesh: evil, Stage: evil, MemberID: evil}}
		s.Reasons = []refusals.Count{{Stage: "auth", Reason: evil, Count: 1}, {Stage: evil, Reason: evil, Count: 2}}
		s.Meshes = []Mesh{{ID: evil, Slug: evil, Audit: AuditHead{Known: true, Hash: evil}}}
		s.Plugins = []Plugin{{Link: evil, Program: evil, Phase: evil, Down: evil, Name: evil, Ends: []End{{Reason: evil, Text: evil, Stderr: evil}}}}
		s.Config.ReloadError = evil
		return s, err
	}
	body := shown(t, source, "?mesh="+"%22%3E%3Cscript")
	if strings.Contains(strings.ToLower(body), "<script>") {
		t.Error("it is markup")
	}
	if !strings.Contains(body, html.EscapeString(`<script>alert(1)</script>`)) {
		t.Error("it is not shown")
	}
}

func TestMeshesAreBoundedAndFound(t *testing.T) {
	source := busy(1000)
	r := open(t, source)
	r.enter()
	rows := func(query string) (ids []string, note string) {
		body := r.get("/console/" + query).body
		for _, m := range regexp.MustCompile(`<tr id="mesh-at-(mesh-\d+)"`).FindAllStringSubmatch(body, -1) {
			ids = append(ids, m[1])
		}
		note = text(regexp.MustCompile(`<p id="meshes-note"[^>]*>[^<]*`).FindString(body))
		return ids, note
	}
	tests := []struct {
		name, query string
		rows        int
		first, note string
	}{
		{"it shows those with the most peers", "", 50, "mesh-0000", "The first 50 of 1,000 meshes; 950 more are not shown: filter by name or id."},
		{"it shows those with the longest queue", "?sort=queue", 50, "mesh-0997", "The first 50 of"},
		{"it shows them by name", "?sort=name", 50, "mesh-0004", "The first 50 of"},
		{"it finds a mesh by its id", "?mesh=mesh-0777", 1, "mesh-0777", "1 of the 1 that fit, of 1,000 meshes."},
		{"it finds meshes by name, whatever the case", "?mesh=RESEARCH", 50, "mesh-0001", "50 of the 167 that fit, of 1,000 meshes."},
		{"it says that there is none", "?mesh=nowhere", 0, "", "None of 1,000 meshes has that in its name or id."},
		{"it takes an unknown order for the usual one", "?sort=nonsense", 50, "mesh-0000", "The first 50 of"},
		{"it cuts what is too long to be a name", "?mesh=" + strings.Repeat("x", 3000), 0, "", "None of"},
	}
	for _, tt := range tests {
		ids, note := rows(tt.query)
		if len(ids) != tt.rows || tt.rows > 0 && ids[0] != tt.first || !strings.HasPrefix(note, tt.note) {
			t.Errorf("%s: got %d rows, %v, %q", tt.name, len(ids), ids[:min(1, len(ids))], note)
		}
	}
}

// The source may hand over a part of the meshes: what is found is of those.
func TestNoteSaysHowManyMeshesWereLookedAt(t *testing.T) {
	tests := []struct {
		name         string
		given, left  int
		choice, want string
	}{
		{"none fits", 100, 400, "payroll", "None of the 100 busiest meshes has that in its name or id; 400 more were not looked at."},
		{"one fits", 100, 400, "mesh-0007", "1 of the 1 that fit, of the 100 busiest meshes; 400 more were not looked at."},
		{"all are wanted", 100, 400, "", "The first 50 of the 100 busiest meshes, of 500."},
		{"few were handed over", 3, 7, "", "The first 3 of the 3 busiest meshes, of 10."},
		{"none was left out", 100, 0, "payroll", "None of 100 meshes has that in its name or id."},
	}
	for _, tt := range tests {
		s := &Snapshot{StoreAt: time.Now(), Meshes: busyMeshes(time.Now(), tt.given, 0), Left: tt.left}
		if got := newMeshes(s, nil, choice{Mesh: tt.choice}).Note; got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

func TestRefusalsAreFound(t *testing.T) {
	source := empty()
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Meshes = []Mesh{{ID: "m1", Slug: "platform"}}
		for i := range 120 {
			s.Refusals = append(s.Refusals, refusals.Refusal{Seq: uint64(500 - i), At: s.At, Kind: "send", Mesh: "m1", Name: "ada", Reason: "not_granted", Stage: "grants"})
		}
		s.Refusals[99].TraceID, s.Refusals[99].Name = "4bf92f3577b34da6a3ce929d0e0e4736", "grace"
		s.Broker.Refused = 9000
		return s, err
	}
	tests := []struct {
		name, query string
		rows        int
		note        string
	}{
		{"it shows the newest", "", 25, "The newest 25 of 9,000 since the start."},
		{"it finds one by its trace", "?refusal=4BF92F3577B34DA6A3CE929D0E0E4736", 1, "1 of the newest 120; the newest 1 are shown."},
		{"it finds by the name of a mesh", "?refusal=platform", 25, "120 of the newest 120; the newest 25 are shown."},
		{"it finds by stage", "?refusal=grants", 25, "120 of"},
		{"it says that there is none", "?refusal=nothing", 0, "None of the newest 120 says that."},
	}
	for _, tt := range tests {
		body := shown(t, source, tt.query)
		note := text(regexp.MustCompile(`<p id="refusals-note"[^>]*>[^<]*`).FindString(body))
		if n := strings.Count(body, `<tr id="refusal-at-`); n != tt.rows || !strings.HasPrefix(note, tt.note) {
			t.Errorf("%s: got %d rows, %q", tt.name, n, note)
		}
	}
}

func TestStates(t *testing.T) {
	link := func(change func(*chain.LinkDescription)) chain.LinkDescription {
		l := linkOf("x", true, 0)
		change(&l)
		return l
	}
	tests := []struct {
		name  string
		link  chain.LinkDescription
		phase string
		want  string
	}{
		{"it is up", link(func(*chain.LinkDescription) {}), "", "Up"},
		{"it is disabled", linkOf("x", false, 0), "", "Disabled"},
		{"it is down", link(func(l *chain.LinkDescription) { l.Condition = "down: starting" }), "starting", "Down"},
		{"it is down in shadow", link(func(l *chain.LinkDescription) { l.Condition, l.Shadow = "down: gone", true }), "", "Down"},
		{"it is in shadow", link(func(l *chain.LinkDescription) { l.Shadow = true }), "up", "In shadow"},
		{"it is quarantined", link(func(l *chain.LinkDescription) { l.Condition = "down: quarantined" }), "quarantined", "Quarantined"},
		{"it does not run", link(func(l *chain.LinkDescription) { l.Condition = "" }), "", "Not running"},
	}
	for _, tt := range tests {
		if got := newLink(tt.link, tt.phase, nil, linkRates{}).State.Word; got != tt.want {
			t.Errorf("%s: got %s", tt.name, got)
		}
	}
	for phase, want := range map[string]string{"quarantined": "Quarantined", "waiting": "Waiting", "stopped": "Stopped", "starting": "Starting", "up": "Up"} {
		if got := pluginState(&Plugin{Phase: phase}).Word; got != want {
			t.Errorf("%s: got %s", phase, got)
		}
	}
	if got := pluginState(&Plugin{Phase: "up", Down: "not configured"}).Word; got != "Down" {
		t.Errorf("a plugin that runs and is not reached: got %s", got)
	}
}

func TestReasonsOfAStage(t *testing.T) {
	var all []refusals.Count
	for i := range 20 {
		all = append(all, refusals.Count{Stage: "x", Reason: sdk.Reason(fmt.Sprint("reason_", i)), Count: uint64(100 - i)}) //nolint:gosec // a count
	}
	all = append(all, refusals.Count{Stage: "y", Reason: "other", Count: 1000})
	list, sum, more := newReasons(all, func(c refusals.Count) bool { return c.Stage == "x" })
	if len(list) != mostReasons || sum != 1810 || more != "676" || list[0].Count != "100" || list[0].Part != 5 {
		t.Errorf("got %d, %d, %s, %+v", len(list), sum, more, list[0])
	}
}

func TestStatusNamesWhatIsWrong(t *testing.T) {
	source := empty()
	calm := source.SnapshotFn
	tests := []struct {
		name   string
		change func(*Snapshot)
		want   string
	}{
		{"it is well", func(*Snapshot) {}, "5 stages up."},
		{"a stage is down", func(s *Snapshot) { s.Chain.Links[2].Condition = "down: gone" }, "1 stage is down: grants."},
		{"a plugin is away", func(s *Snapshot) { s.Plugins = []Plugin{{Link: "scan", Phase: "waiting"}} }, "1 plugin does not run: scan."},
		{"a config was refused", func(s *Snapshot) { s.Config.Loaded.LastError = &admin.LoadError{Text: "line 3"} }, "The newest config was refused."},
		{"a replica has no lease", func(s *Snapshot) { s.Nodes = []Node{{ID: "1", Host: "b"}} }, "1 replica has no lease: b."},
		{"the chain is insecure", func(s *Snapshot) { s.Chain.Insecure = true }, "The chain is insecure"},
		{"the source warns", func(s *Snapshot) { s.Broker.Warnings = []string{"the store does not answer"} }, "Something is wrong: see below."},
	}
	for _, tt := range tests {
		s, err := calm(0)
		if err != nil {
			t.Fatal(err)
		}
		tt.change(s)
		if got := newView(&frame{snapshot: s}, choice{}).Status.Text; !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
	if v := newView(&frame{err: errors.New("no")}, choice{}); v.Status.State.Class != "bad" || len(v.Warnings) != 1 {
		t.Errorf("without an answer: %+v", v.Status)
	}
}

func TestSnapshotAsJSON(t *testing.T) {
	r := open(t, busy(3))
	a := r.do("GET", "/console/snapshot.json", nil, bearer)
	var s Snapshot
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %s", err, a.body)
	}
	if len(s.Chain.Links) != 9 || len(s.Meshes) != 3 || s.Config.Loaded.Generation != 4 || len(s.Refusals) == 0 {
		t.Errorf("got %+v", s)
	}
}

// Who wants something else does not share the parts of others.
func TestChoicesAreApart(t *testing.T) {
	r := open(t, busy(20))
	f, err := r.collect.fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := func(c choice) (ids []string) {
		parts, err := f.render(r.page, c)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(parts, func(p part) bool { return p.ID == "mesh-rows" })
		for _, row := range parts[i].Rows {
			ids = append(ids, row.ID)
		}
		return ids
	}
	for i := range maxWatchers + 5 {
		want := fmt.Sprintf("mesh-%04d", i%20)
		if got := ids(choice{Mesh: want, Sort: sortPeers}); len(got) != 1 || got[0] != "mesh-at-"+want {
			t.Errorf("%s: got %v", want, got)
		}
	}
	if len(f.parts) > maxWatchers {
		t.Errorf("%d are remembered", len(f.parts))
	}
}
