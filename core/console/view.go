package console

import (
	"net/http"
	"strings"
	"time"
)

// Most rows of the long lists.
const (
	mostMeshes   = 50
	mostRefusals = 25
)

// maxChoice is how long a text to search for may be, in bytes.
const maxChoice = 80

// choiceOf reads what a request wants to see.
func choiceOf(r *http.Request) choice {
	q := r.URL.Query()
	text := func(name string) string {
		s := strings.TrimSpace(q.Get(name))
		return strings.ToLower(s[:min(len(s), maxChoice)])
	}
	c := choice{Mesh: text("mesh"), Sort: q.Get("sort"), Refusal: text("refusal")}
	if c.Sort != sortQueue && c.Sort != sortName {
		c.Sort = sortPeers
	}
	return c
}

// view is what the page says.
type view struct {
	Choice   choice
	Status   statusView
	Warnings []string
	Summary  summaryView
	Chain    chainView
	Refusals refusalsView
	Meshes   meshesView
	Plugins  pluginsView
	Config   configView
	Nodes    nodesView
	Spoken   string // of the latest verification; read aloud when it changes
}

// moment is a time; the script turns it into an age.
type moment struct {
	Machine string // for the datetime attribute; empty: there is none
	Human   string
}

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02 15:04:05 UTC")}
}

// state is a word with a sign and a colour, so that none of them is needed alone.
type state struct{ Word, Sign, Class string }

// States of stages, plugins and logs.
var (
	stateUp          = state{"Up", "●", "ok"}
	stateDown        = state{"Down", "▼", "bad"}
	stateShadow      = state{"In shadow", "◐", "info"}
	stateDisabled    = state{"Disabled", "○", "off"}
	stateQuarantined = state{"Quarantined", "■", "bad"}
	stateStarting    = state{"Starting", "◔", "info"}
	stateWaiting     = state{"Waiting", "▲", "warn"}
	stateStopped     = state{"Stopped", "○", "off"}
	stateIdle        = state{"Not running", "○", "off"}
)

// newView makes the view of a frame.
func newView(f *frame, c choice) *view {
	v := &view{Choice: c, Spoken: spoken(f)}
	if f.err != nil {
		v.Warnings = append(v.Warnings, "What you see is old: the console cannot read how the broker is. "+f.err.Error())
	}
	s := f.snapshot
	if s == nil {
		v.Status = statusView{State: stateDown, Text: "Nothing is known of the broker yet."}
		return v
	}
	v.Warnings = append(v.Warnings, s.Broker.Warnings...)
	v.Summary = newSummary(s, f.rates)
	v.Chain = newChain(s, f.rates)
	v.Refusals = newRefusals(s, c)
	v.Meshes = newMeshes(s, f.verdicts, c)
	v.Plugins = newPlugins(s, f.rates)
	v.Config = newConfig(&s.Config)
	v.Nodes = newNodes(s)
	v.Status = newStatus(v)
	return v
}
