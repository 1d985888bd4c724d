package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/audit"
)

// slugTries is how many numbers are tried behind a slug that is taken.
const slugTries = 10_000

// auditBatch is how many entries are written at once.
const auditBatch = 256

// Import imports a mesh in an engine's transaction: the part that all engines
// share. The engine rolls back when it fails, and when the copy says Rehearse.
func Import(ctx context.Context, tx ImportTx, c *MeshCopy) (*ImportResult, error) {
	i := &importing{
		tx: tx, mesh: c.Mesh.ID, moved: make(map[string]string), lost: make(map[string]bool), topicsHere: make(map[string]*Topic),
	}
	for _, step := range []struct {
		what string
		do   func(context.Context, *MeshCopy) error
	}{
		{"accounts", i.accounts}, {"mesh", i.putMesh}, {"members", i.members}, {"invites", i.invites}, {"states", i.states},
		{"values", i.values}, {"memories", i.memories}, {"contexts", i.contexts}, {"tasks", i.tasks}, {"schedules", i.schedules},
		{"session keys", i.sessionKeys}, {"topics", i.topics}, {"seats", i.seats}, {"topic keys", i.topicKeys},
		{"streams", i.streams}, {"skills", i.skills}, {"vault", i.vault}, {"API keys", i.apiKeys}, {"webhooks", i.webhooks},
		{"audit", i.audit}, {"history", i.history}, {"notifications", i.notifications}, {"messages", i.messages},
	} {
		if err := step.do(ctx, c); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return &i.result, nil
}

// importing is the work of one Import.
type importing struct {
	tx     ImportTx
	mesh   string
	result ImportResult

	// moved are members of the copy whose key is enrolled here under another
	// id, which takes what belongs to them.
	moved map[string]string

	// lost are members of the copy whose id is another member's here.
	lost map[string]bool

	// topicsHere are the topics that take what belongs to those of the copy, by
	// the ids in the copy.
	topicsHere map[string]*Topic
}

func (i *importing) accounts(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Accounts, &i.result.Accounts, i.tx.PutAccount)
}

// putAll puts rows, and counts them.
func putAll[T any](ctx context.Context, rows []*T, count *Imported, put func(context.Context, *T) (bool, error)) error {
	for _, row := range rows {
		added, err := put(ctx, row)
		if err != nil {
			return err
		}
		count.count(added)
	}
	return nil
}

// putMesh writes the mesh under the first slug that is free.
func (i *importing) putMesh(ctx context.Context, c *MeshCopy) error {
	slug, err := i.tx.MeshSlug(ctx, i.mesh)
	if !errors.Is(err, ErrNotFound) {
		i.result.Slug = slug
		return err
	}
	m := *c.Mesh
	for n := 2; ; n++ {
		added, err := i.tx.PutMesh(ctx, &m)
		switch {
		case err != nil:
			return err
		case added:
			i.result.New, i.result.Slug = true, m.Slug
			return nil
		case n > slugTries:
			return fmt.Errorf("%w: too many meshes are called %s", ErrConflict, c.Mesh.Slug)
		}
		m.Slug = fmt.Sprintf("%s-%d", c.Mesh.Slug, n)
	}
}

func (i *importing) members(ctx context.Context, c *MeshCopy) error {
	for _, m := range c.Members {
		added, err := i.tx.PutMember(ctx, m)
		if err != nil {
			return err
		}
		if added {
			i.result.Members.Added++
			continue
		}
		if err := i.memberHere(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// memberHere looks at the row that is in a member's place.
func (i *importing) memberHere(ctx context.Context, m *Member) error {
	id, revoked, err := i.tx.MemberByKey(ctx, i.mesh, m.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		i.lost[m.ID] = true
		i.conflict("member", m.ID, "its id is here already, with another key or in another mesh")
	case err != nil:
		return err
	case id != m.ID:
		i.moved[m.ID] = id
		i.conflict("member", m.ID, "its key is enrolled here already, as member "+id)
	default:
		i.result.Members.Present++
		if !m.Live() && revoked.IsZero() {
			i.result.Conflicts = append(i.result.Conflicts, ImportConflict{Kind: "member", ID: m.ID, Here: true,
				Why: "it was revoked over there after it was imported, and is not revoked here: broker member revoke does it"})
		}
	}
	return nil
}

func (i *importing) invites(ctx context.Context, c *MeshCopy) error {
	for _, inv := range c.Invites {
		added, err := i.tx.PutInvite(ctx, inv)
		if err != nil {
			return err
		}
		if !added {
			here, err := i.tx.HasInvite(ctx, i.mesh, inv.ID)
			if err != nil {
				return err
			}
			if !here {
				i.conflict("invite", inv.ID, "its id, its token or its code is here already")
				continue
			}
		}
		i.result.Invites.count(added)
	}
	return nil
}

func (i *importing) states(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.States, &i.result.States, func(ctx context.Context, st *State) (bool, error) {
		row := *st
		row.MemberID = i.member(st.MemberID)
		return i.tx.PutState(ctx, &row)
	})
}

func (i *importing) values(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Values, &i.result.Values, i.tx.PutValue)
}

func (i *importing) memories(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Memories, &i.result.Memories, func(ctx context.Context, m *Memory) (bool, error) {
		row := *m
		row.MemberID = i.member(m.MemberID)
		return i.tx.PutMemory(ctx, &row)
	})
}

func (i *importing) contexts(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Contexts, &i.result.Contexts, func(ctx context.Context, about *Context) (bool, error) {
		row := *about
		row.MemberID = i.member(about.MemberID)
		return i.tx.PutContext(ctx, &row)
	})
}

func (i *importing) tasks(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Tasks, &i.result.Tasks, i.tx.PutTask)
}

func (i *importing) schedules(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Schedules, &i.result.Schedules, func(ctx context.Context, s *Schedule) (bool, error) {
		row := *s
		row.MemberID = i.member(s.MemberID)
		return i.tx.PutSchedule(ctx, &row)
	})
}

func (i *importing) sessionKeys(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.SessionKeys, &i.result.SessionKeys, func(ctx context.Context, k *SessionKey) (bool, error) {
		row := *k
		row.MemberID = i.member(k.MemberID)
		return i.tx.PutSessionKey(ctx, &row)
	})
}

// audit continues the chain here when it is a beginning of the copy's chain.
// One that has grown by itself since then would fork; it stays as it is.
func (i *importing) audit(ctx context.Context, c *MeshCopy) error {
	head, err := i.tx.AuditHead(ctx, i.mesh)
	if err != nil {
		return err
	}
	fits, err := i.continueAudit(ctx, c, head)
	if err != nil || fits {
		return err
	}
	return i.compareAudit(ctx, c)
}

// continueAudit writes the entries behind the head, unless the head is no entry
// of the copy.
func (i *importing) continueAudit(ctx context.Context, c *MeshCopy, head *audit.Head) (fits bool, err error) {
	fits = head.LastID == 0
	last := head.LastID
	var batch []*audit.Entry
	for e, err := range c.Audit {
		switch {
		case err != nil:
			return false, err
		case e.ID <= last:
			fits = fits || e.ID == last && e.Hash == head.Hash
			i.result.Audit.Present++
			continue
		case !fits:
			return false, nil
		}
		if batch = append(batch, e); len(batch) == auditBatch {
			if err := i.appendAudit(ctx, head, batch); err != nil {
				return false, err
			}
			batch = batch[:0]
		}
	}
	return fits, i.appendAudit(ctx, head, batch)
}

// appendAudit writes entries and moves the head behind them.
func (i *importing) appendAudit(ctx context.Context, head *audit.Head, entries []*audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := i.tx.PutAudit(ctx, entries); err != nil {
		return err
	}
	end := entries[len(entries)-1]
	head.Hash, head.LastID = end.Hash, end.ID
	head.Count += int64(len(entries))
	i.result.Audit.Added += int64(len(entries))
	return i.tx.SetAuditHead(ctx, head)
}

// compareAudit counts the entries of the copy that are here, and those that
// are not.
func (i *importing) compareAudit(ctx context.Context, c *MeshCopy) error {
	i.result.Audit.Present = 0
	for e, err := range c.Audit {
		if err != nil {
			return err
		}
		hash, err := i.tx.AuditHash(ctx, i.mesh, e.ID)
		switch {
		case err != nil:
			return err
		case hash == e.Hash:
			i.result.Audit.Present++
		default:
			i.result.Missing++
		}
	}
	return nil
}

// messages gives each message the Seq of the time at which it was accepted, or
// the next one that is free.
func (i *importing) messages(ctx context.Context, c *MeshCopy) error {
	var last int64
	for copied, err := range c.Messages {
		if err != nil {
			return err
		}
		m := *copied.Message
		fresh, err := i.tx.Adopt(ctx, i.mesh, m.ID, m.ExpiresAt)
		if err != nil {
			return err
		}
		if !fresh {
			i.result.Messages.Present++
			continue
		}
		if m.Seq, err = i.freeSeq(ctx, max(SeqAt(m.CreatedAt), last+1)); err != nil {
			return err
		}
		last = m.Seq
		m.SenderMemberID = i.member(m.SenderMemberID)
		added, err := i.tx.PutMessage(ctx, &m, i.recipients(&m, copied.Recipients))
		if err != nil {
			return err
		}
		i.result.Messages.count(added)
	}
	return nil
}

func (i *importing) freeSeq(ctx context.Context, seq int64) (int64, error) {
	for {
		taken, err := i.tx.SeqTaken(ctx, seq)
		if err != nil || !taken {
			return seq, err
		}
		seq++
	}
}

// recipients completes the deliveries of a message.
func (i *importing) recipients(m *Message, list []Delivery) []Delivery {
	rows := make([]Delivery, len(list))
	for n, d := range list {
		rows[n] = Delivery{Seq: m.Seq, Recipient: d.Recipient, MemberID: i.member(d.MemberID)}
	}
	return rows
}

// member returns the id that a member of the copy has here.
func (i *importing) member(id string) string {
	if here, ok := i.moved[id]; ok {
		return here
	}
	return id
}

func (i *importing) conflict(kind, id, why string) {
	i.result.Conflicts = append(i.result.Conflicts, ImportConflict{Kind: kind, ID: id, Why: why})
}
