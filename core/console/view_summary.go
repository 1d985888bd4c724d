package console

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// summaryView is the row of numbers at the top.
type summaryView struct {
	Version, Host, Node, Store, Bus string
	Started                         moment
	Tiles                           []tile
}

// tile is one number with what it is of.
type tile struct {
	Name, Value, Unit string
	Note              string
	Since             moment // shown as an age after the note
	Curve             string
	Class             string
}

func newSummary(s *Snapshot, r rates) summaryView {
	b := &s.Broker
	queue := tile{Name: "Queue", Value: count(b.Queue), Note: "nothing waits"}
	if s.StoreAt.IsZero() {
		queue.Value, queue.Note = unknown, "not known yet"
	} else if b.Queue > 0 {
		queue.Note, queue.Since = "oldest", momentOf(b.Oldest)
	}
	send := tile{Name: "Send to ack", Value: unknown, Note: "none was timed"}
	if q := r.Sends; q.Count > 0 {
		send.Value, send.Note = "≤ "+length(q.P99), "p99; p50 ≤ "+length(q.P50)+over(q)
	}
	refused := tile{Name: "Refused", Value: rate(r.Refused), Unit: "/s", Note: count(b.Refused) + " since the start", Curve: curve(r.RefusedCurve)}
	if r.Refused > 0 {
		refused.Class = "bad"
	}
	return summaryView{
		Version: b.Version, Host: b.Host, Node: b.Node, Store: b.Store, Bus: b.Bus, Started: momentOf(b.Started),
		Tiles: []tile{
			{Name: "Peers", Value: count(b.Peers), Note: plural(b.Sessions, "session", "sessions")},
			{Name: "Frames", Value: rate(r.Frames), Unit: "/s", Note: count(b.Frames) + " since the start", Curve: curve(r.FramesCurve)},
			{Name: "Messages", Value: rate(r.Routed), Unit: "/s", Note: confirmed(r.Confirmed)},
			refused, send, queue,
			{Name: "CPU", Value: percent(r.CPU), Note: "of one core; " + size(b.Memory)},
		},
	}
}

// confirmed says how many deliveries are confirmed in a second.
func confirmed(r float64) string {
	if r < 0 {
		return "of the last 5 s"
	}
	return rate(r) + "/s confirmed"
}

// over says what a quantile is of, if it is not of the last minute.
func over(q quantiles) string {
	if q.SinceStart {
		return ", since the start"
	}
	return ""
}

// statusView says in a sentence how it goes. It has no number that moves all the
// time, since it is read aloud when it changes.
type statusView struct {
	State state
	Text  string
}

func newStatus(v *view) statusView {
	var wrong []string
	if len(v.Chain.Down) > 0 {
		wrong = append(wrong, plural(len(v.Chain.Down), "stage is", "stages are")+" down: "+strings.Join(v.Chain.Down, ", "))
	}
	// A plugin that is away usually takes its stage down, which has been said.
	away := slices.DeleteFunc(slices.Clone(v.Plugins.Away), func(link string) bool { return slices.Contains(v.Chain.Down, link) })
	if len(away) > 0 {
		wrong = append(wrong, plural(len(away), "plugin does", "plugins do")+" not run: "+strings.Join(away, ", "))
	}
	if v.Config.Failed {
		wrong = append(wrong, "the newest config was refused")
	}
	if len(v.Nodes.Lost) > 0 {
		wrong = append(wrong, plural(len(v.Nodes.Lost), "replica has", "replicas have")+" no lease: "+strings.Join(v.Nodes.Lost, ", "))
	}
	if v.Chain.Insecure {
		wrong = append(wrong, "the chain is insecure: not all who should prove who they are have to")
	}
	if len(wrong) > 0 {
		return statusView{State: state{"Look here", "▲", "warn"}, Text: sentence(strings.Join(wrong, "; "))}
	}
	if len(v.Warnings) > 0 {
		return statusView{State: state{"Look here", "▲", "warn"}, Text: "Something is wrong: see below."}
	}
	text := plural(v.Chain.Running, "stage", "stages") + " up"
	if n := len(v.Plugins.Cards); n > 0 {
		text += ", " + plural(n, "plugin", "plugins") + " up"
	}
	return statusView{State: state{"All is well", "●", "ok"}, Text: sentence(text)}
}

// sentence makes one of a text, which begins with any letter or is empty.
func sentence(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return "No reason was given."
	}
	if first == utf8.RuneError {
		return s + "."
	}
	return string(unicode.ToUpper(first)) + s[n:] + "."
}

// spoken is what the latest verification said.
func spoken(f *frame) string {
	var latest verdict
	mesh := ""
	for id, d := range f.verdicts {
		if latest.At.Before(d.At) {
			mesh, latest = id, d
		}
	}
	if mesh == "" {
		return ""
	}
	name := mesh
	if f.snapshot != nil {
		for i := range f.snapshot.Meshes {
			if f.snapshot.Meshes[i].ID == mesh {
				name = f.snapshot.Meshes[i].Slug
			}
		}
	}
	v := newVerdict(latest)
	if latest.Err != nil && latest.Last != nil {
		latest = *latest.Last // which is the one that it says
	}
	return "Audit log of " + name + ": " + strings.ToLower(v.State.Word) + ". " + v.Text +
		map[bool]string{true: "", false: " Verified at " + latest.At.UTC().Format(time.TimeOnly) + " UTC."}[latest.Running]
}
