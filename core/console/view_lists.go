package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/refusals"
)

// Orders of the meshes.
const (
	sortPeers = "peers"
	sortQueue = "queue"
	sortName  = "name"
)

type refusalsView struct {
	Note string
	Rows []refusalRow
}

type refusalRow struct {
	ID                     string
	At                     moment
	Who, WhoID, Mesh       string
	Conn                   string // the connection, or HTTP
	Kind, Stage, Reason    string
	Text, TraceID, ShortID string
}

func (r refusalRow) id() string { return r.ID }

// newRefusals shows the newest that fit the choice.
func newRefusals(s *Snapshot, c choice) refusalsView {
	slugs := map[string]string{}
	for i := range s.Meshes {
		slugs[s.Meshes[i].ID] = s.Meshes[i].Slug
	}
	var v refusalsView
	found := 0
	for i := range s.Refusals {
		f := &s.Refusals[i]
		slug := cmp.Or(slugs[f.Mesh], f.Mesh)
		if c.Refusal != "" && !mentions(f, slug, c.Refusal) {
			continue
		}
		if found++; found <= mostRefusals {
			v.Rows = append(v.Rows, newRefusal(f, slug))
		}
	}
	switch {
	case len(s.Refusals) == 0:
		v.Note = "Nothing was refused since the start."
	case found == 0:
		v.Note = "None of the newest " + count(len(s.Refusals)) + " says that."
	case c.Refusal != "":
		v.Note = fmt.Sprintf("%s of the newest %s; the newest %s are shown.", count(found), count(len(s.Refusals)), count(len(v.Rows)))
	default:
		v.Note = "The newest " + count(len(v.Rows)) + " of " + count(s.Broker.Refused) + " since the start."
	}
	return v
}

// mentions reports whether any text of a refusal has a part.
func mentions(f *refusals.Refusal, slug, part string) bool {
	for _, text := range []string{string(f.Reason), f.Stage, string(f.Kind), f.Name, slug, f.Mesh, f.MemberID, f.TraceID, f.Text} {
		if strings.Contains(strings.ToLower(text), part) {
			return true
		}
	}
	return false
}

func newRefusal(f *refusals.Refusal, slug string) refusalRow {
	r := refusalRow{
		ID: "refusal-at-" + strconv.FormatUint(f.Seq, 10), At: momentOf(f.At), Who: cmp.Or(f.Name, short(f.MemberID), "unknown"),
		WhoID: f.MemberID, Mesh: slug, Kind: string(f.Kind), Stage: cmp.Or(f.Stage, "outside the chain"),
		Reason: string(f.Reason), Text: f.Text, TraceID: f.TraceID, ShortID: short(f.TraceID),
	}
	switch {
	case f.Status != 0:
		r.Conn = "HTTP " + strconv.Itoa(f.Status)
	case f.Conn != 0:
		r.Conn = "peer " + strconv.FormatUint(f.Conn, 10)
	}
	return r
}

type meshesView struct {
	Note string
	Rows []meshRow
}

type meshRow struct {
	ID                      string
	MeshID, ShortID, Slug   string
	Peers, Queue            string
	Oldest                  moment
	Known                   bool
	Entries, Hash, HashPart string
	HeadAt                  moment
	Verdict                 *verdictView
	Running                 bool
}

func (r meshRow) id() string { return r.ID }

// newMeshes shows the first that fit the choice.
func newMeshes(s *Snapshot, verdicts map[string]verdict, c choice) meshesView {
	list := make([]*Mesh, 0, len(s.Meshes))
	for i := range s.Meshes {
		m := &s.Meshes[i]
		if c.Mesh == "" || strings.Contains(strings.ToLower(m.Slug), c.Mesh) || strings.Contains(strings.ToLower(m.ID), c.Mesh) {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, order(c.Sort))
	var v meshesView
	for _, m := range list[:min(len(list), mostMeshes)] {
		v.Rows = append(v.Rows, newMesh(m, verdicts))
	}
	v.Note = meshesNote(len(v.Rows), len(list), s, c)
	return v
}

// meshesNote says how many meshes are shown, of how many that fit, and how many
// of all were looked at.
func meshesNote(shown, fit int, s *Snapshot, c choice) string {
	all := len(s.Meshes) + s.Left
	of, left := plural(all, "mesh", "meshes"), ""
	if s.Left > 0 {
		of = "the " + count(len(s.Meshes)) + " busiest meshes"
		left = "; " + count(s.Left) + " more were not looked at"
	}
	switch {
	case s.StoreAt.IsZero():
		return "Not known yet: the store has not answered."
	case all == 0:
		return "There are no meshes yet: broker mesh create makes one."
	case fit == 0:
		return "None of " + of + " has that in its name or id" + left + "."
	case shown == all && all == 1:
		return "1 mesh."
	case shown == all:
		return "All " + of + "."
	case c.Mesh != "":
		return count(shown) + " of the " + count(fit) + " that fit, of " + of + left + "."
	case s.Left > 0:
		return "The first " + count(shown) + " of " + of + ", of " + count(all) + "."
	default:
		return "The first " + count(shown) + " of " + of + "; " + count(all-shown) + " more are not shown: filter by name or id."
	}
}

func order(by string) func(a, b *Mesh) int {
	return func(a, b *Mesh) int {
		name := cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.ID, b.ID))
		switch by {
		case sortName:
			return name
		case sortQueue:
			return cmp.Or(cmp.Compare(b.Queue, a.Queue), cmp.Compare(b.Peers, a.Peers), name)
		default:
			return cmp.Or(cmp.Compare(b.Peers, a.Peers), cmp.Compare(b.Queue, a.Queue), name)
		}
	}
}

func newMesh(m *Mesh, verdicts map[string]verdict) meshRow {
	r := meshRow{
		ID: "mesh-at-" + anchor(m.ID), MeshID: m.ID, ShortID: short(m.ID), Slug: m.Slug, Peers: peersText(m), Queue: count(m.Queue),
		Oldest: momentOf(m.Oldest), Known: m.Audit.Known, Entries: plural(m.Audit.Entries, "entry", "entries"),
		Hash: m.Audit.Hash, HashPart: short(m.Audit.Hash), HeadAt: momentOf(m.Audit.At),
	}
	if d, ok := verdicts[m.ID]; ok {
		r.Verdict, r.Running = newVerdict(d), d.Running
	}
	return r
}

// verdictView is what a verification said.
type verdictView struct {
	State state
	Text  string
	At    moment
}

func newVerdict(d verdict) *verdictView {
	v := &verdictView{At: momentOf(d.At)}
	switch {
	case d.Running:
		v.State, v.Text = state{"Verifying", "◔", "info"}, "Every entry is read."
		if d.Last != nil {
			before := newVerdict(*d.Last)
			v.Text += " Before: " + strings.ToLower(before.State.Word) + ". " + before.Text
		}
	case d.Err != nil && d.Last != nil: // what is known stays known
		v = newVerdict(*d.Last)
		v.Text += " Verified again, without an answer: " + d.Err.Error() + "."
	case d.Err != nil:
		v.State, v.Text = state{"Not verified", "▲", "warn"}, sentence(d.Err.Error())
	case d.Answer.Valid:
		v.State, v.Text = state{"Intact", "●", "ok"}, plural(d.Answer.Entries, "entry", "entries")+" in "+length(d.Took)+"."
	default:
		v.State = state{"Broken", "▼", "bad"}
		v.Text = "At entry " + strconv.FormatInt(d.Answer.BrokenAt, 10) + ": " + d.Answer.Why + "."
	}
	return v
}

// peersText says how many are in a mesh, and where.
func peersText(m *Mesh) string {
	if m.There == 0 {
		return count(m.Peers)
	}
	return count(m.Peers) + " and " + count(m.There) + " elsewhere"
}
