package commit

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Journal writes rows that nobody waits for. Its methods return at once and may
// be called concurrently. Of several versions of one presence or state that
// gather for a transaction, only the last is written.
type Journal struct {
	committer *Committer

	mu        sync.Mutex
	queued    bool // the rows below are in a work that waits
	presences map[string]*store.Presence
	states    map[stateKey]*store.State
	keys      []*store.SessionKey
	entries   []*audit.Entry
	flying    rows // in the transaction that runs
}

// rows are what a journal writes with one transaction.
type rows struct {
	presences map[string]*store.Presence
	states    map[stateKey]*store.State
	keys      []*store.SessionKey
	entries   []*audit.Entry
}

// keepEntries is how many audit entries are kept while the database does not
// answer. A hundred thousand take some 50 MB.
const keepEntries = 100_000

type stateKey struct {
	mesh, member string
	session      sdk.Key
}

// NewJournal returns a journal that writes through c.
func NewJournal(c *Committer) *Journal {
	return &Journal{
		committer: c,
		presences: map[string]*store.Presence{},
		states:    map[stateKey]*store.State{},
	}
}

// SavePresence writes that a session is here, or no longer.
func (j *Journal) SavePresence(p *store.Presence) {
	j.mu.Lock()
	if last := j.presences[p.ID]; last == nil || last.Version <= p.Version {
		j.presences[p.ID] = p
	}
	j.queueUnlock()
}

// SaveState writes what a session gets back when it returns.
func (j *Journal) SaveState(s *store.State) {
	j.mu.Lock()
	j.states[stateKey{s.MeshID, s.MemberID, s.SessionKey}] = s
	j.queueUnlock()
}

// SaveSessionKey writes whose a session key is.
func (j *Journal) SaveSessionKey(k *store.SessionKey) {
	j.mu.Lock()
	j.keys = append(j.keys, k)
	j.queueUnlock()
}

// Append adds entries to the audit log, before those of any message that is
// submitted later.
func (j *Journal) Append(entries ...*audit.Entry) {
	j.mu.Lock()
	j.entries = append(j.entries, entries...)
	j.queueUnlock()
}

func (j *Journal) queueUnlock() {
	start := !j.queued
	j.queued = true
	j.mu.Unlock()
	if start {
		j.committer.SubmitLazy(j)
	}
}

// Fill implements [Work].
func (j *Journal) Fill(b *store.Batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queued = false
	for _, p := range j.presences {
		b.Presences = append(b.Presences, p)
	}
	for _, s := range j.states {
		b.States = append(b.States, s)
	}
	b.SessionKeys = append(b.SessionKeys, j.keys...)
	b.Audit = append(b.Audit, j.entries...)
	j.flying = rows{j.presences, j.states, j.keys, j.entries}
	j.presences, j.states = map[string]*store.Presence{}, map[stateKey]*store.State{}
	j.keys, j.entries = nil, nil
}

// State returns the state of exactly this session key, or of the member for the
// zero key, that is saved and may not be on disk yet; nil when there is none.
func (j *Journal) State(mesh, member string, session sdk.Key) *store.State {
	k := stateKey{mesh, member, session}
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.states[k]; s != nil {
		return s
	}
	return j.flying.states[k]
}

// Done implements [Work]. What a database that does not answer did not take is
// tried again; of anything else there is nobody to tell but the log.
func (j *Journal) Done(err error) {
	j.mu.Lock()
	flown := j.flying
	j.flying = rows{}
	again := errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrOutcome) && len(j.entries)+len(flown.entries) < keepEntries
	if again {
		j.takeBackLocked(flown)
	}
	j.mu.Unlock()
	switch {
	case again:
		time.AfterFunc(retryAfter, j.retry)
	case err != nil:
		j.committer.log.Error("presence, state and audit rows were not written", slog.Any("err", err))
	}
}

// takeBackLocked puts rows in front of those that came meanwhile, which are
// newer.
func (j *Journal) takeBackLocked(flown rows) {
	for id, p := range flown.presences {
		if j.presences[id] == nil {
			j.presences[id] = p
		}
	}
	for k, s := range flown.states {
		if j.states[k] == nil {
			j.states[k] = s
		}
	}
	j.keys = append(flown.keys, j.keys...)
	j.entries = append(flown.entries, j.entries...)
}

// retry queues what was taken back.
func (j *Journal) retry() {
	j.mu.Lock()
	j.queueUnlock()
}
