package commit

import (
	"log/slog"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

// Journal writes rows that nobody waits for. They go into the next transaction,
// in the order in which they came. Its methods return at once and may be called
// concurrently.
type Journal struct{ Committer *Committer }

// SavePresence writes that a session is here, or no longer.
func (j Journal) SavePresence(p *store.Presence) { j.submit(rows{presence: p}) }

// SaveState writes what a session gets back when it returns.
func (j Journal) SaveState(s *store.State) { j.submit(rows{state: s}) }

// SaveSessionKey writes whose a session key is.
func (j Journal) SaveSessionKey(k *store.SessionKey) { j.submit(rows{key: k}) }

// Append adds entries to the audit log.
func (j Journal) Append(entries ...*audit.Entry) { j.submit(rows{audit: entries}) }

func (j Journal) submit(r rows) {
	r.log = j.Committer.log
	j.Committer.Submit(r)
}

// rows is a work without an owner: a failure can only be logged.
type rows struct {
	presence *store.Presence
	state    *store.State
	key      *store.SessionKey
	audit    []*audit.Entry
	log      *slog.Logger
}

func (r rows) Fill(b *store.Batch) {
	if r.presence != nil {
		b.Presences = append(b.Presences, r.presence)
	}
	if r.state != nil {
		b.States = append(b.States, r.state)
	}
	if r.key != nil {
		b.SessionKeys = append(b.SessionKeys, r.key)
	}
	b.Audit = append(b.Audit, r.audit...)
}

func (r rows) Done(err error) {
	if err != nil {
		r.log.Error("rows lost", slog.Int("audit", len(r.audit)), slog.Bool("presence", r.presence != nil),
			slog.Bool("state", r.state != nil), slog.Any("err", err))
	}
}
