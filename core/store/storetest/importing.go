package storetest

import (
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// RunImport runs the suite of engines that are a [store.Importer]. open is as
// for [Run].
func RunImport(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, tt := range imports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(newSuite(t, open))
		})
	}
}

var imports = []test{
	{"a copy comes back as it was made", importRoundTrip},
	{"a second import adds what is new and changes nothing", importAgain},
	{"a message that arrived and was pruned is not imported again", importPruned},
	{"a rehearsal counts and writes nothing", importRehearsed},
	{"an error leaves nothing behind", importFails},
	{"a slug that is taken gets a number", importSlug},
	{"a key that is enrolled under another id keeps it, and gets what belongs to it", importEnrolled},
	{"an invite whose token is taken is a conflict", importTakenInvite},
	{"a chain goes on as long as it has not grown here", importChain},
	{"messages of one moment keep their order", importOneMoment},
	{"topics come with all that is in them", importTopics},
	{"what members left, and the doors of the mesh, come back as they were", importThings},
	{"who left a topic here, or lost its key, stays so", importLeft},
	{"what was deleted here is not imported again", importDeleted},
	{"a topic whose name is another's is a conflict, and general is one", importTakenTopic},
	{"a key and a webhook whose secret is here are conflicts, and who is revoked gets no key", importTakenDoors},
	{"messages of topics find a place of their own", importHistoryMoment},
}

// importer is the store as an importer.
func (s *suite) importer() store.Importer {
	s.Helper()
	i, ok := s.Store.(store.Importer)
	if !ok {
		s.Fatal("the engine is no importer")
	}
	return i
}

func (s *suite) importMesh(c *store.MeshCopy) *store.ImportResult {
	s.Helper()
	r, err := s.importer().ImportMesh(s.ctx, c)
	s.must(err)
	return r
}

// each streams rows, and then the error if there is one.
func each[T any](rows []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// foreign are entries as another database wrote them, whose ids have gaps.
func foreign(mesh string, n int) []*audit.Entry {
	list := entries(mesh, 0, n)
	for i, e := range list {
		e.ID = int64(100 + 7*i)
	}
	if err := audit.Append(&audit.Head{MeshID: mesh}, list); err != nil {
		panic(err) // all are of one mesh
	}
	return list
}

// copied is a mesh with three members, of which the first sends a message to
// the second, and to a session of the third.
func copied() *store.MeshCopy {
	m := &store.Mesh{
		ID: id("mesh", 1), Slug: "first", Name: "Größe 網", OwnerKey: key(200), OwnerSecret: "b3du", RootKey: "cm9v",
		Policy: store.Policy{Groups: true}, OwnerAccount: account(1).ID, CreatedAt: now(), ArchivedAt: now().Add(time.Hour),
	}
	c := &store.MeshCopy{Accounts: []*store.Account{account(1)}, Mesh: m, Now: now()}
	for n := range 3 {
		c.Members = append(c.Members, member(m.ID, n+1))
	}
	c.Members[1].Grants = store.Grants{key(1): {store.CapDM}, key(3): {}}
	c.Members[1].Permissions, c.Members[1].AccountID = store.Permissions{store.CanInvite: true}, account(1).ID
	c.Members[2].RevokedAt = now()
	c.Invites = []*store.Invite{{
		ID: "inv", MeshID: m.ID, TokenHash: store.HashInvite("token"), SealedToken: "2.c2Vh", Code: "CODE", Capability: "signed", CreatedBy: account(1).ID, MaxUses: 3, UsedCount: 2, Role: store.RoleAdmin,
		Preset: store.Preset{RoleTag: "x"}, ExpiresAt: now().Add(time.Hour), CreatedAt: now(), RevokedAt: now(),
	}}
	c.States = []*store.State{{
		MeshID: m.ID, MemberID: c.Members[1].ID, Groups: []store.Group{{Name: "ops", Role: "lead"}}, Visible: true, Summary: "busy",
		Status: "idle", StatusSource: "jsonl", Stats: store.Stats{MessagesIn: 2.5}, LastSeenAt: now(),
	}}
	c.Values = []*store.Value{{MeshID: m.ID, Key: "k", Author: "ada", At: now(), JSON: []byte(`{"a":1}`)}}
	c.Memories = []*store.Memory{memory(m.ID, 1, "a fox")}
	c.Contexts = []*store.Context{knows(1, "a fox", "zoo")}
	c.Contexts[0].MeshID, c.Contexts[0].MemberID = m.ID, c.Members[1].ID
	c.Tasks = []*store.Task{task(1)}
	c.Tasks[0].MeshID = m.ID
	c.Schedules = []*store.Schedule{schedule(1)}
	c.Schedules[0].MeshID, c.Schedules[0].MemberID = m.ID, c.Members[1].ID
	addTopics(c)
	addThings(c)
	c.SessionKeys = []*store.SessionKey{{MeshID: m.ID, Key: key(50), MemberID: c.Members[2].ID, ClaimedAt: now()}}
	c.Audit = each(foreign(m.ID, 600), nil)
	c.Messages = each([]*store.MessageCopy{waits(c, "one", 0), waits(c, "two", 0)}, nil)
	return c
}

// waits is a message of the copy's first member.
func waits(c *store.MeshCopy, id string, after time.Duration) *store.MessageCopy {
	at := now().Add(after)
	return &store.MessageCopy{
		Message: &store.Message{
			ID: id, MeshID: c.Mesh.ID, SenderMemberID: c.Members[0].ID, SenderMember: c.Members[0].Key, SenderSession: key(60),
			SenderName: "ada", TargetSpec: key(2).String(), Priority: sdk.PriorityLow, Nonce: "n", Ciphertext: "c",
			ClientMessageID: "c-" + id, Fingerprint: "ff", CreatedAt: at, ExpiresAt: at.Add(time.Hour),
		},
		Recipients: []store.Delivery{
			{Recipient: c.Members[1].Key, MemberID: c.Members[1].ID}, {Recipient: key(50), MemberID: c.Members[2].ID},
		},
	}
}

// waiting returns the ids of what waits for a key.
func (s *suite) waitingIDs(mesh string, k sdk.Key) (ids []string) {
	s.Helper()
	list, err := s.Pending(s.ctx, store.Drain{Mesh: mesh, Keys: []sdk.Key{k}, Max: sdk.PriorityLow, Now: now(), Limit: 100})
	s.must(err)
	for _, w := range list {
		ids = append(ids, w.Message.ID)
	}
	return ids
}

func importRoundTrip(s *suite) {
	c := copied()
	r := s.importMesh(c)
	same(s, r, &store.ImportResult{
		New: true, Slug: "first", Accounts: store.Imported{Added: 1}, Members: store.Imported{Added: 3},
		Invites: store.Imported{Added: 1}, States: store.Imported{Added: 1}, Values: store.Imported{Added: 1},
		Memories: store.Imported{Added: 1}, Contexts: store.Imported{Added: 1}, Tasks: store.Imported{Added: 1}, Schedules: store.Imported{Added: 1}, SessionKeys: store.Imported{Added: 1},
		Messages: store.Imported{Added: 2}, Audit: store.Imported{Added: 600},
		Topics: store.Imported{Added: 2}, Seats: store.Imported{Added: 3}, TopicKeys: store.Imported{Added: 1}, History: store.Imported{Added: 2},
		Notifications: store.Imported{Added: 1}, Streams: store.Imported{Added: 1}, Skills: store.Imported{Added: 1}, Vault: store.Imported{Added: 1},
		APIKeys: store.Imported{Added: 1}, Webhooks: store.Imported{Added: 1},
	})
	s.wantAccount(c.Accounts[0])
	mesh, err := s.Mesh(s.ctx, c.Mesh.ID)
	s.must(err)
	same(s, mesh, c.Mesh)
	list, err := s.ListMembers(s.ctx, c.Mesh.ID)
	s.must(err)
	same(s, list, c.Members)
	inv, err := s.InviteByToken(s.ctx, "token")
	s.must(err)
	same(s, inv, c.Invites[0])
	st, err := s.State(s.ctx, c.Mesh.ID, c.Members[1].ID, sdk.Key{})
	s.must(err)
	same(s, st, c.States[0])
	s.wantValue(c.Values[0])
	found, err := s.Recall(s.ctx, c.Mesh.ID, "foxes", nil, 20)
	s.must(err)
	same(s, found, c.Memories)
	known, err := s.FindContexts(s.ctx, c.Mesh.ID, "zoo", nil, 20)
	s.must(err)
	same(s, known, c.Contexts)
	tasks, err := s.ListTasks(s.ctx, c.Mesh.ID, store.TaskMatch{}, 20)
	s.must(err)
	same(s, tasks, c.Tasks)
	planned, err := s.ListSchedules(s.ctx, c.Mesh.ID, c.Schedules[0].MemberID)
	s.must(err)
	same(s, planned, c.Schedules)
	owner, err := s.SessionKeyOwner(s.ctx, c.Mesh.ID, key(50))
	s.must(err)
	same(s, owner, c.Members[2].ID)

	chain := s.chain(c.Mesh.ID)
	same(s, chain, foreign(c.Mesh.ID, 600))
	s.wantVerdict(c.Mesh.ID, audit.Result{Valid: true, Entries: 600})

	want := *waits(c, "one", 0).Message
	want.Seq = store.SeqAt(now())
	pending, err := s.Pending(s.ctx, store.Drain{Mesh: c.Mesh.ID, Keys: []sdk.Key{key(2)}, Max: sdk.PriorityLow, Now: now(), Limit: 1})
	s.must(err)
	same(s, pending, []store.Waiting{{Message: &want, Recipient: key(2)}})
	same(s, s.waitingIDs(c.Mesh.ID, key(50)), []string{"one", "two"})
	sent, err := s.FindSent(s.ctx, c.Mesh.ID, c.Members[0].ID, "c-two")
	s.must(err)
	same(s, sent, &store.Sent{MessageID: "two", Fingerprint: "ff"})
	status, err := s.MessageStatus(s.ctx, c.Mesh.ID, "two")
	s.must(err)
	same(s, status[0].Deliveries, []store.DeliveryStatus{
		{Recipient: key(2), MemberID: c.Members[1].ID}, {Recipient: key(50), MemberID: c.Members[2].ID},
	})
}

func importAgain(s *suite) {
	c := copied()
	s.importMesh(c)
	s.must(s.SetRevoked(s.ctx, c.Members[0].ID, now()))
	_, err := s.ChangeAccount(s.ctx, c.Accounts[0].ID, func(a *store.Account) error {
		a.DisabledAt = now()
		return nil
	})
	s.must(err)
	_, err = s.ChangeMember(s.ctx, c.Members[1].ID, grant(nil))
	s.must(err)
	s.must(s.SetRevoked(s.ctx, c.Members[2].ID, time.Time{}))

	c = copied()
	c.Members = append(c.Members, member(c.Mesh.ID, 4))
	c.Audit = each(foreign(c.Mesh.ID, 605), nil)
	c.Messages = each([]*store.MessageCopy{waits(c, "one", 0), waits(c, "two", 0), waits(c, "three", time.Second)}, nil)
	same(s, s.importMesh(c), &store.ImportResult{
		Slug: "first", Accounts: store.Imported{Present: 1}, Members: store.Imported{Added: 1, Present: 3},
		Invites: store.Imported{Present: 1}, States: store.Imported{Present: 1}, Values: store.Imported{Present: 1},
		Memories: store.Imported{Present: 1}, Contexts: store.Imported{Present: 1}, Tasks: store.Imported{Present: 1}, Schedules: store.Imported{Present: 1}, SessionKeys: store.Imported{Present: 1}, Messages: store.Imported{Added: 1, Present: 2},
		Audit:  store.Imported{Added: 5, Present: 600},
		Topics: store.Imported{Present: 2}, Seats: store.Imported{Present: 3}, TopicKeys: store.Imported{Present: 1}, History: store.Imported{Present: 2},
		Notifications: store.Imported{Present: 1}, Streams: store.Imported{Present: 1}, Skills: store.Imported{Present: 1}, Vault: store.Imported{Present: 1},
		APIKeys: store.Imported{Present: 1}, Webhooks: store.Imported{Present: 1},
		Conflicts: []store.ImportConflict{{
			Kind: "member", ID: c.Members[2].ID, Here: true,
			Why: "it was revoked over there after it was imported, and is not revoked here: broker member revoke does it",
		}},
	})
	list, err := s.ListMembers(s.ctx, c.Mesh.ID)
	s.must(err)
	if list[0].Live() || list[1].Grants != nil || !list[2].Live() || len(list) != 4 {
		s.Errorf("got %+v, want the changes that were made here", list)
	}
	if a, err := s.Account(s.ctx, c.Accounts[0].ID); err != nil || a.Enabled() {
		s.Errorf("got %+v, error %v, want the change that was made here", a, err)
	}
	s.wantVerdict(c.Mesh.ID, audit.Result{Valid: true, Entries: 605})
	same(s, s.waitingIDs(c.Mesh.ID, key(2)), []string{"one", "two", "three"})
}

func importPruned(s *suite) {
	c := copied()
	s.importMesh(c)
	b := store.Batch{}
	for n := range int64(2) {
		for _, k := range []sdk.Key{key(2), key(50)} {
			b.Settled = append(b.Settled, store.Settlement{Seq: store.SeqAt(now()) + n, Recipient: k, At: now()})
		}
	}
	s.commit(b)
	n, err := s.PruneQueue(s.ctx, now().Add(time.Minute), 100)
	s.must(err)
	same(s, n, 4) // messages and memories of their ids
	same(s, s.importMesh(copied()).Messages, store.Imported{Present: 2})
	same(s, s.waitingIDs(c.Mesh.ID, key(2)), nil)

	c = copied() // whoever makes a copy leaves expired messages out, so that they need no memory
	c.Now, c.Messages = now().Add(2*time.Hour), each[*store.MessageCopy](nil, nil)
	s.importMesh(c)
	same(s, s.importMesh(copied()).Messages, store.Imported{Added: 2})
}

func importRehearsed(s *suite) {
	c := copied()
	c.Rehearse = true
	want := s.importMesh(c)
	if _, err := s.Mesh(s.ctx, c.Mesh.ID); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("got error %v, want no mesh after a rehearsal", err)
	}
	same(s, s.chain(c.Mesh.ID), nil)
	same(s, s.importMesh(copied()), want)
}

func importFails(s *suite) {
	broken := errors.New("the other database is away")
	c := copied()
	c.Messages = each([]*store.MessageCopy{waits(c, "one", 0)}, broken)
	_, err := s.importer().ImportMesh(s.ctx, c)
	s.wantErr(err, broken)
	_, err = s.Mesh(s.ctx, c.Mesh.ID)
	s.wantErr(err, store.ErrNotFound)
	c = copied()
	c.Audit = each(foreign(c.Mesh.ID, 300), broken)
	_, err = s.importer().ImportMesh(s.ctx, c)
	s.wantErr(err, broken)
	same(s, s.importMesh(copied()).Messages, store.Imported{Added: 2})
}

func importSlug(s *suite) {
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "a", Slug: "first", CreatedAt: now()}, nil))
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "b", Slug: "first-2", CreatedAt: now()}, nil))
	same(s, s.importMesh(copied()).Slug, "first-3")
	same(s, s.importMesh(copied()).Slug, "first-3")
}

func importEnrolled(s *suite) {
	c := copied()
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: c.Mesh.ID, Slug: "mine", CreatedAt: now()}, []*store.Member{
		{ID: "ada-here", MeshID: c.Mesh.ID, Key: key(1), JoinedAt: now()}, {ID: "bo-here", MeshID: c.Mesh.ID, Key: key(2), JoinedAt: now()},
		{ID: c.Members[2].ID, MeshID: c.Mesh.ID, Key: key(99), JoinedAt: now()},
	}))
	r := s.importMesh(c)
	same(s, r.Members, store.Imported{})
	same(s, r.Slug, "mine")
	same(s, r.Conflicts, []store.ImportConflict{
		{Kind: "member", ID: c.Members[0].ID, Why: "its key is enrolled here already, as member ada-here"},
		{Kind: "member", ID: c.Members[1].ID, Why: "its key is enrolled here already, as member bo-here"},
		{Kind: "member", ID: c.Members[2].ID, Why: "its id is here already, with another key or in another mesh"},
	})
	status, err := s.MessageStatus(s.ctx, c.Mesh.ID, "one")
	s.must(err)
	same(s, []string{status[0].Message.SenderMemberID, status[0].Deliveries[0].MemberID}, []string{"ada-here", "bo-here"})
	_, err = s.State(s.ctx, c.Mesh.ID, "bo-here", sdk.Key{})
	s.must(err)
}

func importTakenInvite(s *suite) {
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "a", Slug: "other", CreatedAt: now()}, nil))
	s.must(s.CreateInvite(s.ctx, &store.Invite{ID: "other", MeshID: "a", TokenHash: store.HashInvite("elsewhere"), Code: "CODE", ExpiresAt: now(), CreatedAt: now()}))
	r := s.importMesh(copied())
	same(s, r.Invites, store.Imported{})
	same(s, r.Conflicts, []store.ImportConflict{{Kind: "invite", ID: "inv", Why: "its id, its token or its code is here already"}})
}

func importChain(s *suite) {
	c := copied()
	c.Audit = each(foreign(c.Mesh.ID, 3), nil)
	s.importMesh(c)
	own := &audit.Entry{MeshID: c.Mesh.ID, EventType: "reload", CreatedAt: now()}
	s.commit(store.Batch{Audit: []*audit.Entry{own}})
	same(s, own.ID, 115)
	s.wantVerdict(c.Mesh.ID, audit.Result{Valid: true, Entries: 4})

	c = copied()
	c.Audit = each(foreign(c.Mesh.ID, 3), nil)
	r := s.importMesh(c)
	same(s, []any{r.Audit, r.Missing}, []any{store.Imported{Present: 3}, int64(0)})
	r = s.importMesh(copied())
	same(s, []any{r.Audit, r.Missing}, []any{store.Imported{Present: 3}, int64(597)})
	s.wantVerdict(c.Mesh.ID, audit.Result{Valid: true, Entries: 4})

	// Hashes are kept as they are, right or wrong.
	wrong := foreign(id("mesh", 2), 5)
	wrong[3].PrevHash, wrong[3].Hash = wrong[1].Hash, "wrong"
	c = copied()
	c.Mesh.ID, c.Mesh.Slug = id("mesh", 2), "second"
	c.Members, c.Invites, c.Messages = nil, nil, each[*store.MessageCopy](nil, nil)
	c.Audit = each(wrong, nil)
	s.importMesh(c)
	same(s, s.chain(c.Mesh.ID), wrong)
	s.wantVerdict(c.Mesh.ID, audit.Result{Entries: 5, BrokenAt: wrong[3].ID, Why: audit.WhyLink})
}

func importOneMoment(s *suite) {
	taken := &store.Message{
		Seq: store.SeqAt(now()) + 1, ID: "taken", MeshID: "a", TargetSpec: "*", ClientMessageID: "x", CreatedAt: now(), ExpiresAt: now().Add(time.Hour),
	}
	s.commit(store.Batch{Sent: []*store.Message{taken}})
	c := copied()
	c.Messages = each([]*store.MessageCopy{
		waits(c, "d", 0), waits(c, "c", 0), waits(c, "b", 0), waits(c, "a", time.Microsecond),
	}, nil)
	s.importMesh(c)
	same(s, s.waitingIDs(c.Mesh.ID, key(2)), []string{"d", "c", "b", "a"})
	last, err := s.LastSeq(s.ctx)
	s.must(err)
	same(s, last, store.SeqAt(now().Add(time.Microsecond)))
}
