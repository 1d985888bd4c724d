package adopt

import (
	"slices"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

// Report is what an import did, or would do.
type Report struct {
	DryRun bool `json:"dryRun"`

	// Missing is what the database does not have; Warnings concern all of it.
	Missing  []string     `json:"missing"`
	Warnings []string     `json:"warnings"`
	Meshes   []MeshReport `json:"meshes"`
}

// Broken reports whether a chain of hashes does not hold.
func (r *Report) Broken() bool {
	return slices.ContainsFunc(r.Meshes, func(m MeshReport) bool { return !m.Chain.Valid })
}

// MeshReport is one mesh of a Report.
type MeshReport struct {
	ID       string `json:"id"`
	Slug     string `json:"slug"` // here
	Name     string `json:"name"`
	Archived bool   `json:"archived"`
	New      bool   `json:"new"` // it was not here before

	Accounts    Count `json:"accounts"`
	Members     Count `json:"members"`
	Invites     Count `json:"invites"`
	States      Count `json:"states"`
	Values      Count `json:"values"`
	Memories    Count `json:"memories"`
	Contexts    Count `json:"contexts"`
	Tasks       Count `json:"tasks"`
	Schedules   Count `json:"schedules"`
	SessionKeys Count `json:"sessionKeys"`
	Messages    Count `json:"messages"`
	Audit       Count `json:"audit"`

	Topics        Count `json:"topics"`
	Seats         Count `json:"seats"` // of members in topics
	TopicKeys     Count `json:"topicKeys"`
	History       Count `json:"history"` // messages of topics
	Notifications Count `json:"notifications"`
	Streams       Count `json:"streams"`
	Skills        Count `json:"skills"`
	Vault         Count `json:"vault"`
	APIKeys       Count `json:"apiKeys"`
	Webhooks      Count `json:"webhooks"`

	Chain Chain  `json:"chain"`
	Notes []Note `json:"notes"`
}

// Count are the rows of one table.
type Count struct {
	Added   int64 `json:"added"`
	Present int64 `json:"present"` // here already, and left alone
	Skipped int64 `json:"skipped"` // each has its reason among the notes
}

// Chain is the verdict on a mesh's audit log, as it is here after the import.
type Chain struct {
	Valid    bool   `json:"valid"`
	Entries  int64  `json:"entries"`
	BrokenAt int64  `json:"brokenAt,omitempty"`
	Why      string `json:"why,omitempty"`

	// Known counts entries that the original hashed wrongly itself: a send
	// without a priority. Explained says that nothing else is wrong.
	Known     int64 `json:"known,omitempty"`
	Explained bool  `json:"explained,omitempty"`
}

// noteIDs is how many rows a note names.
const noteIDs = 5

// Note says why rows of a table were skipped or changed.
type Note struct {
	Kind    string   `json:"kind"` // what one row is: member, topic message, API key, …
	Why     string   `json:"why"`
	Rows    int64    `json:"rows"`
	Skipped bool     `json:"skipped"` // the rows are not here
	IDs     []string `json:"ids"`     // the first of them
}

// notes collects what is to be said about one mesh.
type notes struct{ list []Note }

// changed notes that a row is not imported just as it was.
func (n *notes) changed(kind, id, why string) { n.add(kind, id, why, false) }

// skipped notes that a row is not imported.
func (n *notes) skipped(kind, id, why string) { n.add(kind, id, why, true) }

func (n *notes) add(kind, id, why string, skipped bool) {
	i := slices.IndexFunc(n.list, func(x Note) bool { return x.Kind == kind && x.Why == why })
	if i < 0 {
		i = len(n.list)
		n.list = append(n.list, Note{Kind: kind, Why: why, Skipped: skipped})
	}
	at := &n.list[i]
	at.Rows++
	if len(at.IDs) < noteIDs {
		at.IDs = append(at.IDs, id)
	}
}

// count adds what was skipped to what the store counted.
func (n *notes) count(kind string, i store.Imported) Count {
	c := Count{Added: i.Added, Present: i.Present}
	for _, x := range n.list {
		if x.Kind == kind && x.Skipped {
			c.Skipped += x.Rows
		}
	}
	return c
}

func chainOf(r audit.Result) Chain {
	return Chain{Valid: r.Valid, Entries: r.Entries, BrokenAt: r.BrokenAt, Why: r.Why}
}
