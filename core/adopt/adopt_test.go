package adopt

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is the key of hex digits that repeat.
func key(t *testing.T, two string) sdk.Key {
	t.Helper()
	k, err := sdk.ParseKey(strings.Repeat(two, sdk.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestImport(t *testing.T) {
	r := newRig(t)
	report := r.run(now)
	var ids []string
	for _, m := range report.Meshes {
		ids = append(ids, m.ID+" "+m.Slug)
	}
	same(t, ids, []string{"old dev-team-2", "mesh01 dev-team", "mesh-ünï uni"})
	same(t, report.Missing, nil)
	t.Run("counts", func(t *testing.T) { testCounts(t, r, report) })
	t.Run("accounts", func(t *testing.T) { testAccounts(t, r) })
	t.Run("meshes", func(t *testing.T) { testMeshes(t, r, report) })
	t.Run("members", func(t *testing.T) { testMembers(t, r, report) })
	t.Run("invites", func(t *testing.T) { testInvites(t, r, report) })
	t.Run("states", func(t *testing.T) { testStates(t, r) })
	t.Run("memories, contexts and tasks", func(t *testing.T) { testWritings(t, r, report) })
	t.Run("schedules", func(t *testing.T) { testSchedules(t, r, report) })
	t.Run("values", func(t *testing.T) { testValues(t, r, report) })
	t.Run("session keys", func(t *testing.T) { testSessionKeys(t, r, report) })
	t.Run("chains", func(t *testing.T) { testChains(t, r, report) })
	t.Run("messages", func(t *testing.T) { testMessages(t, r, report) })
	t.Run("topics", func(t *testing.T) { testTopics(t, r, report) })
	t.Run("history", func(t *testing.T) { testHistory(t, r, report) })
	t.Run("streams and skills", func(t *testing.T) { testSkills(t, r, report) })
	t.Run("the vault", func(t *testing.T) { testVault(t, r, report) })
	t.Run("API keys", func(t *testing.T) { testAPIKeys(t, r, report) })
	t.Run("webhooks", func(t *testing.T) { testWebhooks(t, r, report) })
	t.Run("what is left", func(t *testing.T) { testLeft(t, r, report) })
}

func testCounts(t *testing.T, r *rig, report *Report) {
	m := r.mesh(report, "mesh01")
	m.Notes = nil
	same(t, m, MeshReport{
		ID: "mesh01", Slug: "dev-team", Name: "Dev Team", New: true, Accounts: Count{Added: 1},
		Members: Count{Added: 4, Skipped: 4}, Invites: Count{Added: 3, Skipped: 1}, States: Count{Added: 2, Skipped: 1}, Values: Count{Added: 2, Skipped: 2},
		Memories: Count{Added: 2}, Contexts: Count{Added: 1, Skipped: 1}, Tasks: Count{Added: 4}, Schedules: Count{Added: 2, Skipped: 4},
		SessionKeys: Count{Added: 2, Skipped: 1}, Messages: Count{Added: 6, Skipped: 8}, Audit: Count{Added: 4},
		Topics: Count{Added: 4, Skipped: 1}, Seats: Count{Added: 3, Skipped: 3}, TopicKeys: Count{Added: 1, Skipped: 2},
		History: Count{Added: 3, Skipped: 3}, Notifications: Count{Added: 2, Skipped: 2}, Streams: Count{Added: 1, Skipped: 1},
		Skills: Count{Added: 3, Skipped: 1}, Vault: Count{Added: 2, Skipped: 3}, APIKeys: Count{Added: 3, Skipped: 5},
		Webhooks: Count{Added: 2, Skipped: 3},
		Chain:    Chain{Valid: true, Entries: 4},
	})
}

func testAccounts(t *testing.T, r *rig) {
	list, err := r.store.ListAccounts(t.Context())
	r.must(err)
	same(t, list, []*store.Account{
		{ID: "u-ann", Email: "ann@example.com", Name: "Ann Ö", CreatedAt: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)},
		{ID: "u-bob", Email: "bob@example.com", Name: "Bob", CreatedAt: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC)},
	})
	meshes, err := r.store.AccountMeshes(t.Context(), "u-ann")
	r.must(err)
	if len(meshes) != 1 || meshes[0].Mesh.ID != "mesh01" || meshes[0].Member == nil || meshes[0].Member.ID != "ann" {
		t.Errorf("got %+v", meshes)
	}
}

func testMeshes(t *testing.T, r *rig, report *Report) {
	m, err := r.store.Mesh(t.Context(), "mesh01")
	r.must(err)
	seed, err := r.keys.OpenFor(identity.OwnerSecretAtRest, m.ID, m.OwnerSecret)
	r.must(err)
	root, err := r.keys.OpenFor(identity.RootKeyAtRest, m.ID, m.RootKey)
	r.must(err)
	for _, k := range readVectors(t).Keys {
		if k.Label == "owner" && k.Secret[:64] != hex.EncodeToString(seed) {
			t.Errorf("got seed %x of the owner, want %s", seed, k.Secret[:64])
		}
	}
	same(t, base64.RawURLEncoding.EncodeToString(root), "KuPZwpvNpR6WCc0UanYGisnJ1EJ4JOHnL_zE4vrR1_s")
	same(t, m.Policy, store.Policy{DisplayName: true, Groups: true})
	same(t, m.CreatedAt, time.Date(2026, 4, 1, 8, 0, 0, 123_000_000, time.UTC))

	m, err = r.store.Mesh(t.Context(), "old")
	r.must(err)
	same(t, m, &store.Mesh{
		ID: "old", Slug: "dev-team-2", Name: "Old Team", Policy: store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
		OwnerAccount: "u-bob",
		CreatedAt:    time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), ArchivedAt: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
	})
	r.wantNote(r.mesh(report, "old"), "mesh", "it is called dev-team-2", "old")

	m, err = r.store.Mesh(t.Context(), "mesh-ünï")
	r.must(err)
	if m.OwnerSecret != "" || m.RootKey != "" || m.OwnerKey.IsZero() {
		t.Errorf("got %+v, want no secrets that do not fit", m)
	}
	for _, words := range []string{"self_editable", "does not belong", "root key"} {
		r.wantNote(r.mesh(report, "mesh-ünï"), "mesh", words, "mesh-ünï")
	}
}

func testMembers(t *testing.T, r *rig, report *Report) {
	list, err := r.store.ListMembers(t.Context(), "mesh01")
	r.must(err)
	at := func(day, hour int) time.Time { return time.Date(2026, 4, day, hour, 0, 0, 0, time.UTC) }
	same(t, list, []*store.Member{
		{
			ID: "ann", MeshID: "mesh01", Key: key(t, "a1"), DisplayName: "Ann", Role: store.RoleAdmin, RoleTag: "lead",
			DefaultGroups: []store.Group{{Name: "crew/a", Role: "r"}}, MessageMode: "inbox", JoinedAt: at(1, 9),
			AccountID: "u-ann",
			Grants:    store.Grants{key(t, "e5"): {}, key(t, "b2"): {store.CapRead}},
		},
		{
			ID: "bo", MeshID: "mesh01", Key: key(t, "b2"), DisplayName: "Bo", Role: store.RoleMember, MessageMode: "push", JoinedAt: at(1, 10),
			Grants:      store.Grants{key(t, "a1"): {store.CapRead, store.CapDM}, key(t, "c3"): {}, key(t, "d4"): {store.CapDM}},
			Permissions: store.Permissions{store.CanInvite: true, store.CanSend: false},
		},
		{
			ID: "cy", MeshID: "mesh01", Key: key(t, "c3"), DisplayName: "Cy", Role: store.RoleAdmin, MessageMode: "push", JoinedAt: at(1, 11),
			RevokedAt: at(10, 0),
		},
		{ID: "dee3", MeshID: "mesh01", Key: key(t, "d4"), DisplayName: "Dee", Role: store.RoleMember, MessageMode: "push", JoinedAt: at(3, 12)},
	})
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "member", "another row, dee3", "dee2", "dee4", "dee1")
	r.wantNote(m, "member", "never could connect", "eve")
	r.wantNote(m, "member", "no object", "dee1", "dee3")
	r.wantNote(m, "member", "under something that is no key", "ann")
	r.wantNote(m, "member", "unknown parts", "bo", "bo", "bo")
	r.wantNote(m, "member", "a name that none can have", "ann")
}

func testInvites(t *testing.T, r *rig, report *Report) {
	inv, err := r.store.InviteByToken(t.Context(), "token-v1")
	r.must(err)
	token, err := r.keys.OpenFor(identity.InviteAtRest, "v1", inv.SealedToken)
	r.must(err)
	same(t, string(token), "token-v1")
	inv.SealedToken = ""
	same(t, inv, &store.Invite{
		ID: "v1", MeshID: "mesh01", TokenHash: store.HashInvite("token-v1"), CreatedBy: "u-ann", MaxUses: 3, UsedCount: 1, Role: store.RoleAdmin,
		Preset:    store.Preset{DisplayName: "New", Groups: []store.Group{{Name: "crew"}}},
		ExpiresAt: time.Date(2026, 4, 27, 12, 0, 0, 0, time.UTC), CreatedAt: now.Add(-time.Hour),
	})
	inv, err = r.store.InviteByToken(t.Context(), "token-v2")
	r.must(err)
	same(t, inv.Code, "ABCD2345")
	same(t, inv.Capability, readVectors(t).InviteV2[0].Capability)
	inv, err = r.store.InviteByToken(t.Context(), "token-gone")
	r.must(err)
	same(t, []time.Time{inv.ExpiresAt, inv.RevokedAt}, []time.Time{never, now.Add(-30 * time.Minute)})
	r.wantNote(r.mesh(report, "mesh01"), "invite", "signature", "inv02")
	for _, end := range []string{"", "-wal"} {
		file, err := os.ReadFile(r.path + end)
		r.must(err)
		for _, secret := range []string{"token-v1", "token-v2", "token-gone", "KuPZwpvNpR6WCc0UanYGisnJ1EJ4JOHnL_zE4vrR1_s"} {
			if bytes.Contains(file, []byte(secret)) {
				t.Errorf("%s is in the store's file%s", secret, end)
			}
		}
	}
}

func testStates(t *testing.T, r *rig) {
	st, err := r.store.State(t.Context(), "mesh01", "bo", sdk.Key{})
	r.must(err)
	owl := "🦉"
	same(t, st, &store.State{
		MeshID: "mesh01", MemberID: "bo", Groups: []store.Group{{Name: "ops"}}, Profile: store.Profile{Avatar: &owl},
		Summary: "at work", Status: "idle", StatusSource: "jsonl", Stats: store.Stats{MessagesIn: 3, MessagesOut: 4.5, Errors: 1},
		LastSeenAt: time.Date(2026, 4, 19, 10, 0, 0, 500_000_000, time.UTC),
	})
	st, err = r.store.State(t.Context(), "mesh01", "ann", sdk.Key{})
	r.must(err)
	same(t, st, &store.State{MeshID: "mesh01", MemberID: "ann", Visible: true, Status: "idle", StatusSource: "jsonl"})
}

func testValues(t *testing.T, r *rig, report *Report) {
	list, err := r.store.ListValues(t.Context(), "mesh01", "", 10)
	r.must(err)
	same(t, list, []*store.Value{
		{MeshID: "mesh01", Key: "done", At: time.Date(2026, 4, 19, 10, 0, 1, 0, time.UTC), JSON: []byte(`false`)},
		{
			MeshID: "mesh01", Key: "plan", Author: "Ann", At: time.Date(2026, 4, 19, 10, 0, 0, 500_000_000, time.UTC),
			JSON: []byte(`{"a":"ö","steps":[1,2.50]}`),
		},
	})
	r.wantNote(r.mesh(report, "mesh01"), "value", "null", "none")
}

func testWritings(t *testing.T, r *rig, report *Report) {
	at := func(hour, second, ms int) time.Time { return time.Date(2026, 4, 19, hour, 0, second, ms*1e6, time.UTC) }
	found, err := r.store.Recall(t.Context(), "mesh01", "fox", nil, 10)
	r.must(err)
	slices.SortFunc(found, func(a, b *store.Memory) int { return strings.Compare(a.ID, b.ID) })
	same(t, found, []*store.Memory{
		{ID: "mem1", MeshID: "mesh01", Content: "Quick foxes", Tags: []string{"zoo", `a "b", c`}, MemberID: "ann", Author: "Ann", CreatedAt: at(10, 0, 500)},
		{ID: "mem2", MeshID: "mesh01", Content: "A fox of nobody", CreatedAt: at(10, 1, 0)},
	})
	contexts, err := r.store.FindContexts(t.Context(), "mesh01", "", nil, 10)
	r.must(err)
	same(t, contexts, []*store.Context{{
		ID: "con1", MeshID: "mesh01", MemberID: "ann", Name: "Ann", Summary: "The wire", FilesRead: []string{"a.go"},
		KeyFindings: []string{"works"}, Tags: []string{"codec"}, UpdatedAt: at(10, 0, 0),
	}})
	tasks, err := r.store.ListTasks(t.Context(), "mesh01", store.TaskMatch{}, 10)
	r.must(err)
	same(t, tasks, []*store.Task{
		{ID: "task4", MeshID: "mesh01", Title: "Lose it", Priority: "normal", Status: store.TaskOpen, Creator: "Ann", CreatedAt: at(10, 3, 0)},
		{
			ID: "task3", MeshID: "mesh01", Title: "Do it", Priority: "normal", Status: store.TaskDone, Creator: "Ann", CreatedAt: at(10, 2, 0),
			Claimer: "Bo", ClaimedAt: at(11, 0, 0), Result: "done", CompletedAt: at(12, 0, 0),
		},
		{
			ID: "task2", MeshID: "mesh01", Title: "Claim it", Priority: "normal", Status: store.TaskClaimed, CreatedAt: at(10, 1, 0), Claimer: "Bo",
			ClaimedAt: at(11, 0, 0),
		},
		{ID: "task1", MeshID: "mesh01", Title: "Open it", Assignee: "bo", Priority: "normal", Tags: []string{"x"}, Status: store.TaskOpen, Creator: "Ann", CreatedAt: at(10, 0, 0)},
	})
	r.wantNote(r.mesh(report, "mesh01"), "task", "status", "task4")
	r.wantNote(r.mesh(report, "mesh01"), "context", "member", "con2")
}

func testSchedules(t *testing.T, r *rig, report *Report) {
	list, err := r.store.ListSchedules(t.Context(), "mesh01", "ann")
	r.must(err)
	if len(list) != 2 {
		t.Fatalf("got %d schedules", len(list))
	}
	for i, want := range []struct{ id, to, text, subtype, cron string }{
		{"sch1", "*", "tea", "reminder", ""}, {"sch2", "@ops", "stand up", "", "0 9 * * 1"},
	} {
		s := list[i]
		text, err := r.keys.OpenFor(identity.ScheduleAtRest, s.ID, s.Body)
		if err != nil || s.ID != want.id || s.To != want.to || string(text) != want.text || s.Subtype != want.subtype || s.Cron != want.cron ||
			!s.WakeAt.Equal(s.DueAt) || s.Ended() || s.Cron != "" && !s.DueAt.After(now) {
			t.Errorf("got %+v, text %q, %v", s, text, err)
		}
	}
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "schedule", "cron", "sch4")
	r.wantNote(m, "schedule", "overdue", "sch3")
	r.wantNote(m, "schedule", "member", "sch5")
	r.wantNote(m, "schedule", "target", "sch6")
}

// What was forgotten here stays so.
func TestForgottenMemoriesDoNotComeBack(t *testing.T) {
	r := newRig(t)
	r.run(now)
	r.must(r.store.ForgetMemory(t.Context(), "mesh01", "mem1", now))
	same(t, r.mesh(r.run(now), "mesh01").Memories, Count{Present: 2})
	found, err := r.store.Recall(t.Context(), "mesh01", "quick", nil, 10)
	r.must(err)
	same(t, len(found), 0)
}

func testSessionKeys(t *testing.T, r *rig, report *Report) {
	for two, want := range map[string]string{"51": "bo", "52": "dee3", "53": "", "a1": ""} {
		owner, _ := r.store.SessionKeyOwner(t.Context(), "mesh01", key(t, two))
		if owner != want {
			t.Errorf("session key %s… belongs to %q, want %q", two, owner, want)
		}
	}
	r.wantNote(r.mesh(report, "mesh01"), "session key", "several members", strings.Repeat("51", 32))
}

func testChains(t *testing.T, r *rig, report *Report) {
	v := readVectors(t)
	for i, mesh := range []string{"mesh01", "mesh-ünï"} {
		rows := v.Audit.Chains[i].Rows
		n := 0
		for e, err := range r.store.AuditChain(t.Context(), mesh) {
			r.must(err)
			if e.ID != int64(10*(i+1)+2*n) || e.Hash != rows[n].Hash || e.PrevHash != rows[n].Prev {
				t.Errorf("entry %d of %s: got %+v", n, mesh, e)
			}
			n++
		}
		same(t, n, len(rows))
		same(t, r.mesh(report, mesh).Chain, Chain{Valid: true, Entries: int64(n)})
		result, err := r.store.VerifyAudit(t.Context(), mesh)
		r.must(err)
		same(t, result, audit.Result{Valid: true, Entries: int64(n)})
	}
	// The chain goes on behind the original's entries.
	e := &audit.Entry{MeshID: "mesh01", EventType: "reload", CreatedAt: now}
	r.must(r.store.Commit(t.Context(), &store.Batch{Audit: []*audit.Entry{e}}))
	result, err := r.store.VerifyAudit(t.Context(), "mesh01")
	r.must(err)
	same(t, result, audit.Result{Valid: true, Entries: 5})
}

// waiting returns the ids of what waits for keys, in order.
func (r *rig) waiting(at time.Time, keys ...string) (ids []string) {
	r.Helper()
	for _, w := range r.pending(at, keys...) {
		ids = append(ids, w.Message.ID)
	}
	return ids
}

func (r *rig) pending(at time.Time, keys ...string) []store.Waiting {
	r.Helper()
	d := store.Drain{Mesh: "mesh01", Max: sdk.PriorityLow, Now: at, Limit: 100}
	for _, k := range keys {
		d.Keys = append(d.Keys, key(r.T, k))
	}
	list, err := r.store.Pending(r.Context(), d)
	r.must(err)
	return list
}

func testMessages(t *testing.T, r *rig, report *Report) {
	same(t, r.waiting(now, "b2", "51"), []string{"m-session", "m-week", "m-direct"})
	same(t, r.waiting(now, "a1"), []string{"m-group"})
	same(t, r.waiting(now, "c3"), []string{"m-revoked"})
	same(t, r.waiting(now, "d4"), []string{"m-all"})

	list := r.pending(now, "b2")
	accepted := time.Date(2026, 4, 20, 10, 0, 0, 0, time.UTC)
	same(t, list[1].Message, &store.Message{
		Seq: store.SeqAt(accepted), ID: "m-direct", MeshID: "mesh01", SenderMemberID: "ann", SenderMember: key(t, "a1"),
		SenderSession: key(t, "51"), SenderName: "Ann", TargetSpec: strings.Repeat("b2", 32), Priority: sdk.PriorityLow,
		Nonce: "n1", Ciphertext: "c1", ClientMessageID: "cm-1", Fingerprint: "ff", CreatedAt: accepted, ExpiresAt: accepted.Add(week),
	})
	session := r.pending(now, "51")[0].Message
	if session.Seq != store.SeqAt(accepted)+1 || session.SenderMemberID != "dee3" {
		t.Errorf("got %+v, want the next Seq, and the row that was kept of the sender's", session)
	}
	sent, err := r.store.FindSent(t.Context(), "mesh01", "ann", "cm-1")
	r.must(err)
	same(t, sent, &store.Sent{MessageID: "m-direct", Fingerprint: "ff"})

	m := r.mesh(report, "mesh01")
	for why, ids := range map[string][]string{
		"repeats": {"m-again"}, "topic": {"m-topic"}, "neither": {"m-at"}, "nobody is known": {"m-nogroup", "m-stranger"},
		"blocked": {"m-blocked"}, "sender is not imported": {"m-eve"}, "expired": {"m-old"},
	} {
		r.wantNote(m, "message", why, ids...)
	}
}

func TestAgain(t *testing.T) {
	r := newRig(t)
	r.run(now)
	// Meanwhile everything arrives here and is pruned, and members change.
	for _, w := range r.pending(now, "a1", "b2", "c3", "d4", "51") {
		r.must(r.store.Commit(t.Context(), &store.Batch{Settled: []store.Settlement{{Seq: w.Message.Seq, Recipient: w.Recipient, At: now}}}))
	}
	if _, err := r.store.PruneQueue(t.Context(), now.Add(time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	r.must(r.store.SetRevoked(t.Context(), "bo", now))
	r.must(r.store.AddMember(t.Context(), &store.Member{ID: "fay-here", MeshID: "mesh01", Key: key(t, "f6"), JoinedAt: now}))

	// And over there something is new.
	r.exec(`INSERT INTO mesh.member (id, mesh_id, peer_pubkey, display_name) VALUES ('fay', 'mesh01', repeat('f6', 32), 'Fay'),
		('gus', 'mesh01', repeat('67', 32), 'Gus')`)
	r.exec(`UPDATE mesh.member SET revoked_at = '2026-04-20 12:30:00' WHERE id = 'ann'`)
	r.exec(`INSERT INTO mesh.message_queue (id, mesh_id, sender_member_id, target_spec, nonce, ciphertext, created_at) VALUES
		('m-new', 'mesh01', 'fay', repeat('f6', 32), 'n', 'c', '2026-04-20 12:30:00')`)
	r.append(40, "mesh01", "peer_left", "{}", "{}")

	later := now.Add(time.Hour)
	m := r.mesh(r.run(later), "mesh01")
	r.wantNote(m, "member", "enrolled here already, as member fay-here", "fay")
	r.wantNote(m, "member", "broker member revoke", "ann")
	m.Notes = nil
	want := MeshReport{
		ID: "mesh01", Slug: "dev-team", Name: "Dev Team", Accounts: Count{Present: 1},
		Members: Count{Added: 1, Present: 4, Skipped: 5}, Invites: Count{Present: 3, Skipped: 1}, States: Count{Present: 2, Skipped: 1}, Values: Count{Present: 2, Skipped: 2},
		Memories: Count{Present: 2}, Contexts: Count{Present: 1, Skipped: 1}, Tasks: Count{Present: 4}, Schedules: Count{Skipped: 6},
		SessionKeys: Count{Present: 2, Skipped: 1},
		Messages:    Count{Added: 1, Present: 4, Skipped: 10}, // one has expired, one was for a member that is gone
		Audit:       Count{Added: 1, Present: 4}, Chain: Chain{Valid: true, Entries: 5},
		Topics: Count{Present: 4, Skipped: 1}, Seats: Count{Present: 3, Skipped: 3}, TopicKeys: Count{Present: 1, Skipped: 2},
		History: Count{Present: 3, Skipped: 3}, Notifications: Count{Present: 2, Skipped: 2}, Streams: Count{Present: 1, Skipped: 1},
		Skills: Count{Present: 3, Skipped: 1}, Vault: Count{Present: 2, Skipped: 3},
		APIKeys:  Count{Present: 2, Skipped: 6}, // one is of a member that was revoked over there
		Webhooks: Count{Present: 2, Skipped: 3},
	}
	same(t, m, want)
	same(t, r.waiting(later, "a1", "b2", "c3", "d4", "51"), nil)
	same(t, r.pending(later, "f6")[0].Message.SenderMemberID, "fay-here")
	if bo, err := r.store.MemberByID(t.Context(), "bo"); err != nil || bo.Live() {
		t.Errorf("got %+v, error %v: a second import undid a revocation", bo, err)
	}

	// A third time nothing is new.
	m = r.mesh(r.run(later), "mesh01")
	m.Notes = nil
	want.Members, want.Messages, want.Audit = Count{Present: 5, Skipped: 5}, Count{Present: 5, Skipped: 10}, Count{Present: 5}
	same(t, m, want)
}

func TestGrownChain(t *testing.T) {
	r := newRig(t)
	r.run(now)
	r.must(r.store.Commit(t.Context(), &store.Batch{Audit: []*audit.Entry{{MeshID: "mesh01", EventType: "reload", CreatedAt: now}}}))
	m := r.mesh(r.run(now), "mesh01")
	same(t, []any{m.Audit, m.Chain}, []any{Count{Present: 4}, Chain{Valid: true, Entries: 5}})

	r.append(17, "mesh01", "peer_left", "{}", "{}") // the id that ours took
	r.append(31, "mesh01", "peer_left", "{}", "{}")
	m = r.mesh(r.run(now), "mesh01")
	same(t, []any{m.Audit, m.Chain}, []any{Count{Present: 4, Skipped: 2}, Chain{Valid: true, Entries: 5}})
	r.wantNote(m, "audit", "has grown")
}

func TestBrokenChain(t *testing.T) {
	r := newRig(t)
	r.append(40, "mesh01", "message_sent", `{"targetSpec":"*"}`, `{"priority":undefined,"targetSpec":"*"}`)
	r.append(41, "mesh01", "peer_left", "{}", "{}")
	report := r.run(now)
	same(t, r.mesh(report, "mesh01").Chain, Chain{Entries: 6, BrokenAt: 40, Why: audit.WhyHash, Known: 1, Explained: true})
	same(t, r.mesh(report, "mesh-ünï").Chain.Valid, true)
	same(t, report.Broken(), true)

	r.exec(`UPDATE mesh.audit_log SET payload = '{"was":"else"}' WHERE id = 22`)
	report = r.run(now, func(o *Options) { o.DryRun = true })
	same(t, r.mesh(report, "mesh-ünï").Chain, Chain{Entries: 6, BrokenAt: 22, Why: audit.WhyHash})
	report = r.run(now) // what was imported does not change any more
	same(t, r.mesh(report, "mesh-ünï").Chain, Chain{Valid: true, Entries: 6})
}

func TestDryRun(t *testing.T) {
	r := newRig(t)
	dry := r.run(now, func(o *Options) { o.DryRun = true })
	if list, err := r.store.ListMeshes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %d meshes, error %v after a dry run", len(list), err)
	}
	real := r.run(now)
	same(t, dry.DryRun, true)
	same(t, dry.Meshes, real.Meshes)
}

func TestSomeMeshes(t *testing.T) {
	r := newRig(t)
	only := func(words ...string) func(*Options) { return func(o *Options) { o.Meshes = words } }
	report := r.run(now, only("mesh-ünï"))
	same(t, []int{len(report.Meshes), int(r.mesh(report, "mesh-ünï").Members.Added)}, []int{1, 1})
	same(t, len(r.run(now, only("dev-team")).Meshes), 2)
	if _, err := r.try(now, only("dev")); err == nil || !strings.Contains(err.Error(), "it has dev-team, dev-team, uni") {
		t.Errorf("got error %v, want the meshes that there are", err)
	}
}

func TestNoKey(t *testing.T) {
	r := newRig(t)
	for _, what := range []string{"secrets and invites", "invites alone"} {
		if _, err := r.try(now, func(o *Options) { o.Keys = nil }); err == nil || !strings.Contains(err.Error(), "BROKER_ENCRYPTION_KEY") {
			t.Errorf("%s: got error %v, want to be asked for a key", what, err)
		}
		r.exec(`UPDATE mesh.mesh SET owner_secret_key = NULL, root_key = NULL`)
	}
	r.exec(`DELETE FROM mesh.invite`)
	r.run(now, func(o *Options) { o.Keys = nil })
}

func TestSlugTakenHere(t *testing.T) {
	r := newRig(t)
	r.must(r.store.CreateMesh(t.Context(), &store.Mesh{ID: "ours", Slug: "dev-team", CreatedAt: now}, nil))
	report := r.run(now)
	same(t, []string{r.mesh(report, "mesh01").Slug, r.mesh(report, "old").Slug}, []string{"dev-team-3", "dev-team-2"})
}

// Databases that were made by the original's migrations alone, and by its tool
// that pushes a schema.
func TestOldGenerations(t *testing.T) {
	r := newRig(t)
	r.exec(`ALTER TABLE mesh.invite RENAME COLUMN capability_v2 TO capability_v_2`)
	report := r.run(now, func(o *Options) { o.DryRun = true })
	r.wantNote(r.mesh(report, "mesh01"), "invite", "signature", "inv02")
	for _, end := range []string{"", "-wal"} {
		file, err := os.ReadFile(r.path + end)
		r.must(err)
		for _, secret := range []string{"token-v1", "token-v2", "token-gone", "KuPZwpvNpR6WCc0UanYGisnJ1EJ4JOHnL_zE4vrR1_s"} {
			if bytes.Contains(file, []byte(secret)) {
				t.Errorf("%s is in the store's file%s", secret, end)
			}
		}
	}

	r.exec(`DROP TABLE mesh.scheduled_message, mesh.peer_state, mesh.state, mesh.memory, mesh.context, mesh.task, mesh.presence, mesh.permission, mesh.notification, mesh.topic_message, mesh.topic_member_key, mesh.topic_member, mesh.topic,
			mesh.stream, mesh.skill, mesh.vault_entry, mesh.api_key, mesh.webhook, mesh.file, mesh.service; DROP TABLE public."user" CASCADE;
		ALTER TABLE mesh.mesh DROP COLUMN self_editable, DROP COLUMN root_key;
		ALTER TABLE mesh.member DROP COLUMN role_tag, DROP COLUMN default_groups, DROP COLUMN message_mode, DROP COLUMN peer_grants,
			DROP COLUMN dashboard_user_id;
		ALTER TABLE mesh.invite DROP COLUMN code, DROP COLUMN preset, DROP COLUMN version, DROP COLUMN capability_v_2;
		ALTER TABLE mesh.message_queue DROP COLUMN client_message_id, DROP COLUMN request_fingerprint, DROP COLUMN claimed_at`)
	report = r.run(now)
	same(t, report.Missing, []string{
		"table user: nothing of it is imported",
		"column mesh.root_key: this broker cannot sign invites", "column mesh.self_editable: members may edit their whole profile",
		"column member.role_tag: members have no role tag", "column member.default_groups: members have no default groups",
		"column member.message_mode: every member's message mode is push", "column member.peer_grants: members allow everybody the defaults",
		"table permission: nothing of it is imported",
		"table peer_state: nothing of it is imported", "table state: nothing of it is imported", "table memory: nothing of it is imported",
		"table context: nothing of it is imported", "table task: nothing of it is imported",
		"table scheduled_message: nothing of it is imported", "table presence: nothing of it is imported",
		"table topic: nothing of it is imported", "table topic_member: nothing of it is imported",
		"table topic_member_key: nothing of it is imported", "table topic_message: nothing of it is imported",
		"table notification: nothing of it is imported", "table stream: nothing of it is imported",
		"table skill: nothing of it is imported", "table vault_entry: nothing of it is imported",
		"table api_key: nothing of it is imported", "table webhook: nothing of it is imported",
	})
	m := r.mesh(report, "mesh01")
	same(t, []Count{m.Members, m.Invites, m.States}, []Count{{Added: 4, Skipped: 4}, {Added: 4}, {}})
	ann, err := r.store.Account(t.Context(), "u-ann")
	r.must(err)
	same(t, ann, &store.Account{ID: "u-ann", CreatedAt: now})
	r.wantNote(m, "message", "nobody is known", "m-session", "m-group", "m-nogroup", "m-stranger")

	r.exec(`ALTER TABLE mesh.member DROP COLUMN revoked_at`)
	if _, err := r.try(now); err == nil || !strings.Contains(err.Error(), "mesh.member has no column revoked_at") {
		t.Errorf("got error %v, want the column that is missing", err)
	}
	r.exec(`DROP SCHEMA mesh CASCADE`)
	if _, err := r.try(now); err == nil || !strings.Contains(err.Error(), "no table mesh.mesh") {
		t.Errorf("got error %v, want to be told that this is another database", err)
	}
}

func TestTimeZone(t *testing.T) {
	r := newRig(t)
	same(t, r.run(now).Warnings, []string{})
	r.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Europe/Madrid''', current_database()); END $$`)
	report := r.run(now, func(o *Options) { o.DryRun = true })
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "Europe/Madrid") {
		t.Errorf("got warnings %q", report.Warnings)
	}
	same(t, r.mesh(report, "mesh01").Members.Present, 4)
}

func TestReadOnly(t *testing.T) {
	r := newRig(t)
	src, err := Open(t.Context(), r.url)
	r.must(err)
	defer src.Close()
	if _, err := src.tx.Exec(t.Context(), `DELETE FROM mesh.mesh`); err == nil {
		t.Error("the import can change the original's database")
	}
}

func TestUnreadableValues(t *testing.T) {
	r := newRig(t)
	r.exec(`ALTER TABLE mesh.message_queue ALTER priority TYPE text`)
	r.exec(`UPDATE mesh.message_queue SET priority = 'soon' WHERE id = 'm-direct'`)
	r.exec(`UPDATE mesh.message_queue SET created_at = '-infinity' WHERE id = 'm-week'`)
	r.exec(`UPDATE mesh.invite SET expires_at = '20000-01-01' WHERE id = 'v1'`)
	r.exec(`UPDATE mesh.invite SET max_uses = -1 WHERE id = 'gone'`)
	r.exec(`UPDATE mesh.member SET revoked_at = 'infinity' WHERE id = 'bo'`)
	m := r.mesh(r.run(now), "mesh01")
	r.wantNote(m, "message", "priority", "m-direct")
	r.wantNote(m, "message", "accepted", "m-week")
	r.wantNote(m, "invite", "expiry", "v1")
	r.wantNote(m, "invite", "uses", "gone")
	bo, err := r.store.MemberByID(t.Context(), "bo")
	r.must(err)
	same(t, bo.RevokedAt, now)
	if slices.ContainsFunc(m.Notes, func(n Note) bool { return n.Rows < int64(len(n.IDs)) }) {
		t.Errorf("a note counts fewer rows than it names: %+v", m.Notes)
	}
}

// The original's database can be the new store's too: each has its own schema.
func TestIntoTheSameDatabase(t *testing.T) {
	r := newRig(t)
	st, err := postgres.Open(t.Context(), postgres.Options{URL: r.url, Migrate: true})
	r.must(err)
	defer st.Close()
	src, err := Open(t.Context(), r.url)
	r.must(err)
	defer src.Close()
	report, err := Run(t.Context(), src, st, Options{ExpireAfter: week, Keys: r.keys, Now: now})
	r.must(err)
	same(t, report.Meshes, r.run(now).Meshes)
	result, err := st.VerifyAudit(t.Context(), "mesh-ünï")
	r.must(err)
	same(t, result, audit.Result{Valid: true, Entries: 6})
}
