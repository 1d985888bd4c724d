package adopt

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

// states returns what members get back when they return. It knows groups only
// after the members are read.
func (w *work) states(ctx context.Context) (list []*store.State, err error) {
	w.groups = make(map[string][]store.Group)
	for _, m := range w.members {
		w.groups[m.ID] = m.DefaultGroups
	}
	for row, err := range w.src.read(ctx, "peer_state", "WHERE t.mesh_id = $1 ORDER BY t.member_id", w.id) {
		if err != nil {
			return nil, err
		}
		id := row.text("member_id")
		m := w.byID[id]
		if m == nil || m.ID != id {
			w.notes.skipped("state", id, "its member is not imported")
			continue
		}
		st := w.state(row, id)
		if len(st.Groups) > 0 {
			w.groups[id] = st.Groups
		}
		list = append(list, st)
	}
	return list, nil
}

// state makes our row. The original keeps no status; nobody is busy who is not
// here.
func (w *work) state(row record, id string) *store.State {
	st := &store.State{
		MeshID: w.id, MemberID: id, Groups: w.readGroups(row, "groups", "state", id), Visible: row.text("visible") != "false",
		Summary: row.text("last_summary"), Status: "idle", StatusSource: "jsonl",
	}
	var profile store.Profile
	if row.json("profile", &profile) {
		st.Profile = profile
	} else {
		w.notes.changed("state", id, "its profile has another form and starts empty")
	}
	var stats store.Stats
	if row.json("cumulative_stats", &stats) {
		st.Stats = stats
	} else {
		w.notes.changed("state", id, "its counters have another form and start at zero")
	}
	if seen, err := row.time("last_seen_at"); err == nil {
		st.LastSeenAt = seen
	}
	return st
}
