package adopt

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// capabilities are the names that an entry of grants may list.
func capabilities() []store.Capability {
	return []store.Capability{
		store.CapRead, store.CapDM, store.CapBroadcast, store.CapStateRead, store.CapStateWrite, store.CapFileRead,
	}
}

// grants reads what a member allows. Nothing there was validated: what cannot
// be understood must not open what the member meant to close.
func (w *work) grants(row record, id string) store.Grants {
	var raw map[string]json.RawMessage
	if !row.json("peer_grants", &raw) {
		w.notes.changed("member", id, "peer_grants is no object: everybody is allowed the defaults")
		return nil
	}
	var g store.Grants
	for _, sender := range slices.Sorted(maps.Keys(raw)) { // of one key in both cases, the lower one counts
		key, err := sdk.ParseKey(sender)
		if err != nil || key.IsZero() {
			w.notes.changed("member", id, "an entry of peer_grants under something that is no key was left out")
			continue
		}
		if g == nil {
			g = make(store.Grants)
		}
		list, exact := readCapabilities(raw[sender])
		if !exact {
			w.notes.changed("member", id, "an entry of peer_grants with unknown parts allows what was understood of it")
		}
		g[key] = list
	}
	return g
}

// readCapabilities reads one entry, and reports whether all of it was
// understood. A text allows every name that is found in it, as it did there;
// what is neither list nor text blocks the sender.
func readCapabilities(raw json.RawMessage) (list []store.Capability, exact bool) {
	list = []store.Capability{}
	var names []any
	if json.Unmarshal(raw, &names) == nil && names != nil {
		exact = true
		for _, n := range names {
			name, _ := n.(string)
			c := store.Capability(name)
			switch {
			case !slices.Contains(capabilities(), c):
				exact = false
			case !slices.Contains(list, c):
				list = append(list, c)
			}
		}
		return list, exact
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, c := range capabilities() {
			if strings.Contains(text, string(c)) {
				list = append(list, c)
			}
		}
	}
	return list, false
}

// allows reports whether a recipient lets a message through: the entry under
// the sender's member key decides, else that under its session key, else the
// default, which allows messages.
func allows(g store.Grants, m *store.Message, want store.Capability) bool {
	list, ok := g[m.SenderMember]
	if !ok && !m.SenderSession.IsZero() {
		list, ok = g[m.SenderSession]
	}
	return !ok || slices.Contains(list, want)
}
