package adopt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Options say what is imported, and how.
type Options struct {
	Meshes      []string         // ids and slugs in the original's database; none means all
	DryRun      bool             // write nothing
	ExpireAfter time.Duration    // a message that has waited for so long is not imported
	Keys        *identity.AtRest // seals the owners' keys, root keys and invites, which the original keeps plain
	Now         time.Time
}

// Target is the store that takes the meshes over. No broker runs on it.
type Target interface {
	store.Importer
	VerifyAudit(ctx context.Context, mesh string) (audit.Result, error)
}

// Run imports. Each mesh has a transaction of its own: with an error come the
// reports of the meshes that were imported before it, and the same import may
// be run again. A chain of hashes that does not hold is no error.
func Run(ctx context.Context, src *Source, to Target, o Options) (*Report, error) {
	r := &Report{DryRun: o.DryRun, Missing: src.Missing(), Warnings: src.warnings(), Meshes: []MeshReport{}}
	meshes, err := src.meshes(ctx)
	if err != nil {
		return r, err
	}
	meshes, err = choose(meshes, o.Meshes)
	if err != nil {
		return r, err
	}
	accounts := make(map[string]bool)
	for i := range meshes {
		report, err := adopt(ctx, src, to, o, &meshes[i], accounts)
		if err != nil {
			return r, fmt.Errorf("mesh %s: %w", meshes[i].slug, err)
		}
		r.Meshes = append(r.Meshes, *report)
	}
	return r, nil
}

// choose keeps the meshes that are wanted.
func choose(meshes []source, wanted []string) ([]source, error) {
	if len(wanted) == 0 {
		return meshes, nil
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(meshes, func(m source) bool { return m.is(w) }) {
			var known []string
			for _, m := range meshes {
				known = append(known, m.given)
			}
			return nil, core.Refuse(sdk.ReasonUnknownMesh, fmt.Sprintf("the original's database has no mesh %q; it has %s",
				w, strings.Join(known, ", ")))
		}
	}
	return slices.DeleteFunc(meshes, func(m source) bool { return !slices.ContainsFunc(wanted, m.is) }), nil
}

// work is the import of one mesh.
type work struct {
	src   *Source
	o     Options
	id    string
	owner string // the owner's account in the original
	notes notes

	accounts map[string]bool              // that came with this mesh or one before it
	decided  map[string]store.Permissions // by member, as the original has them: all of them

	members  []*store.Member
	byID     map[string]*store.Member // under the ids of dropped duplicates too
	byKey    map[sdk.Key]*store.Member
	groups   map[string][]store.Group // that a member's next session begins with
	sessions map[sdk.Key]*store.SessionKey
	topics   map[string]*store.Topic // that are imported
	seated   map[place]bool          // who is in them
	log      *check
}

// adopt imports one mesh.
func adopt(ctx context.Context, src *Source, to Target, o Options, from *source, accounts map[string]bool) (*MeshReport, error) {
	w := &work{src: src, o: o, id: from.row.text("id"), owner: from.row.text("owner_user_id"), accounts: accounts}
	c := &store.MeshCopy{
		Now: o.Now, Rehearse: o.DryRun, Audit: w.audit(ctx), Messages: w.messages(ctx),
		History: w.history(ctx), Notifications: w.notifications(ctx),
	}
	var err error
	if c.Mesh, err = w.mesh(from); err != nil {
		return nil, err
	}
	if err := w.permissions(ctx); err != nil {
		return nil, err
	}
	if c.Members, err = w.readMembers(ctx); err != nil {
		return nil, err
	}
	if c.Accounts, err = w.readAccounts(ctx); err != nil {
		return nil, err
	}
	if c.Invites, err = w.invites(ctx, c.Mesh.OwnerKey); err != nil {
		return nil, err
	}
	if c.States, err = w.states(ctx); err != nil {
		return nil, err
	}
	if c.Values, err = w.values(ctx); err != nil {
		return nil, err
	}
	if err := w.writings(ctx, c); err != nil {
		return nil, err
	}
	if c.Schedules, err = w.schedules(ctx); err != nil {
		return nil, err
	}
	if c.SessionKeys, err = w.sessionKeys(ctx); err != nil {
		return nil, err
	}
	if err := w.readTopics(ctx, c); err != nil {
		return nil, err
	}
	if err := w.things(ctx, c); err != nil {
		return nil, err
	}
	if err := w.left(ctx); err != nil {
		return nil, err
	}
	done, err := to.ImportMesh(ctx, c)
	if err != nil {
		return nil, err
	}
	chain, err := w.verify(ctx, to)
	if err != nil {
		return nil, err
	}
	return w.report(c.Mesh, from, done, chain), nil
}

// verify returns the verdict on the chain as it is in the store, or after a
// rehearsal, as it was read.
func (w *work) verify(ctx context.Context, to Target) (Chain, error) {
	result := w.log.Finish(nil)
	if !w.o.DryRun {
		var err error
		if result, err = to.VerifyAudit(ctx, w.id); err != nil {
			return Chain{}, err
		}
	}
	chain := chainOf(result)
	if !chain.Valid {
		chain.Known, chain.Explained = w.log.known, w.log.known > 0 && w.log.other == 0
	}
	return chain, nil
}

// report puts together what is to be said.
func (w *work) report(m *store.Mesh, from *source, done *store.ImportResult, chain Chain) *MeshReport {
	for _, c := range done.Conflicts {
		w.notes.add(c.Kind, c.ID, c.Why, !c.Here)
	}
	if done.Slug != from.given {
		w.notes.changed("mesh", m.ID, fmt.Sprintf("it is called %s here, because %q is the slug of another mesh, or none", done.Slug, from.given))
	}
	if done.Missing > 0 {
		w.notes.list = append(w.notes.list, Note{Kind: "audit", Rows: done.Missing, Skipped: true, IDs: []string{},
			Why: "the chain here has grown since the mesh was imported, so what the original wrote later cannot follow"})
	}
	return &MeshReport{
		ID: m.ID, Slug: done.Slug, Name: m.Name, Archived: !m.ArchivedAt.IsZero(), New: done.New,
		Accounts: w.notes.count("account", done.Accounts),
		Members:  w.notes.count("member", done.Members), Invites: w.notes.count("invite", done.Invites),
		States: w.notes.count("state", done.States), Values: w.notes.count("value", done.Values),
		Memories: w.notes.count("memory", done.Memories), Contexts: w.notes.count("context", done.Contexts),
		Tasks: w.notes.count("task", done.Tasks), Schedules: w.notes.count("schedule", done.Schedules),
		SessionKeys: w.notes.count("session key", done.SessionKeys),
		Messages:    w.notes.count("message", done.Messages), Audit: w.notes.count("audit", done.Audit),
		Topics: w.notes.count("topic", done.Topics), Seats: w.notes.count("seat", done.Seats),
		TopicKeys: w.notes.count("topic key", done.TopicKeys), History: w.notes.count("topic message", done.History),
		Notifications: w.notes.count("notification", done.Notifications), Streams: w.notes.count("stream", done.Streams),
		Skills: w.notes.count("skill", done.Skills), Vault: w.notes.count("secret", done.Vault),
		APIKeys: w.notes.count("API key", done.APIKeys), Webhooks: w.notes.count("webhook", done.Webhooks),
		Chain: chain, Notes: append([]Note{}, w.notes.list...),
	}
}
