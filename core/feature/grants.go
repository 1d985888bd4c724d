package feature

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of grants.
const (
	maxGrantEdits = 256  // keys in one request
	maxGrants     = 1000 // entries of one member
)

// GrantStore reads and changes what members allow.
type GrantStore interface {
	ListMembers(ctx context.Context, mesh string) ([]*store.Member, error)
	ChangeMember(ctx context.Context, id string, change func(*store.Member) error) (*store.Member, error)
}

// Grants lets members say what they allow others.
func Grants(r *Registry, st GrantStore, who ModerationRoster) {
	g := &grants{roster: who, book: NewGrantBook(st, who)}
	On(r, g.set)
	On(r, g.get)
}

type grants struct {
	roster Roster
	book   *GrantBook
}

func (g *grants) set(ctx context.Context, c *Call, m *wire.SetGrants) (wire.GrantsResult, error) {
	by, err := whoAsks(ctx, g.roster, c)
	if err != nil {
		return wire.GrantsResult{}, err
	}
	after, err := g.book.Edit(ctx, c, by.Member, m.Grants)
	return wire.GrantsResult{Grants: GrantTexts(after)}, err
}

func (g *grants) get(ctx context.Context, c *Call, _ *wire.GetGrants) (wire.GrantsResult, error) {
	by, err := whoAsks(ctx, g.roster, c)
	if err != nil {
		return wire.GrantsResult{}, err
	}
	return wire.GrantsResult{Grants: GrantTexts(by.Grants)}, nil
}

// GrantTexts returns grants as they go over the wire, never nil.
func GrantTexts(g store.Grants) map[sdk.Key][]string {
	texts := make(map[sdk.Key][]string, len(g))
	for key, allowed := range g {
		list := make([]string, len(allowed))
		for i, capability := range allowed {
			list[i] = string(capability)
		}
		texts[key] = list
	}
	return texts
}

// Forgetter drops what is remembered of a member whose row has changed.
type Forgetter interface{ Forget(memberID string) }

// GrantBook changes what members allow. Methods may be called concurrently: no
// edit undoes another one.
type GrantBook struct {
	store  GrantStore
	roster Forgetter
}

// NewGrantBook returns a book that writes to st, and that has r forget the rows
// that it changed.
func NewGrantBook(st GrantStore, r Forgetter) *GrantBook { return &GrantBook{st, r} }

// Edit changes what a member allows, and returns all that it allows now. What
// was changed is noted in the call's records.
//
// Members of one account stand for one person, who may be at any of them: an
// edit goes to each that is live in the mesh. The member itself comes first; an
// edit that fails in between can be repeated as it is.
func (b *GrantBook) Edit(ctx context.Context, c *Call, who *store.Member, edits wire.GrantEdits) (store.Grants, error) {
	list, err := parseGrants(edits)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return who.Grants, nil
	}
	after, err := b.change(ctx, who.ID, list)
	if err != nil {
		return nil, err
	}
	peers := make([]string, len(list))
	for i := range list {
		peers[i] = list[i].key.String()
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "grants_changed", Payload: audit.Object(audit.Strings("peers", peers))})
	if err := b.siblings(ctx, who, list); err != nil {
		return nil, err
	}
	return after, nil
}

// siblings makes the same edit for the other members of the member's account.
func (b *GrantBook) siblings(ctx context.Context, who *store.Member, list []grantEdit) error {
	if who.AccountID == "" {
		return nil
	}
	members, err := b.store.ListMembers(ctx, who.MeshID)
	if err != nil {
		return core.Unavailable(err)
	}
	for _, m := range members {
		if m.ID == who.ID || m.AccountID != who.AccountID || !m.Live() {
			continue
		}
		if _, err := b.change(ctx, m.ID, list); err != nil {
			return err
		}
	}
	return nil
}

// change edits one row, on disk when it returns. The old row is forgotten even
// if that failed: nobody knows then what is on disk.
func (b *GrantBook) change(ctx context.Context, id string, list []grantEdit) (store.Grants, error) {
	var refused *core.Error
	m, err := b.store.ChangeMember(ctx, id, func(m *store.Member) error {
		refused = applyGrants(m, list)
		if refused != nil {
			return refused
		}
		return nil
	})
	b.roster.Forget(id)
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return m.Grants, nil
}

// applyGrants edits a row.
func applyGrants(m *store.Member, list []grantEdit) *core.Error {
	if !m.Live() {
		return core.Refuse(sdk.ReasonForbidden, "your access to this mesh was revoked: contact its owner")
	}
	after := maps.Clone(m.Grants)
	if after == nil {
		after = store.Grants{}
	}
	for _, e := range list {
		if e.reset {
			delete(after, e.key)
		} else {
			after[e.key] = e.allow
		}
	}
	if len(after) > maxGrants && len(after) > len(m.Grants) {
		return core.Refuse(sdk.ReasonInvalid,
			fmt.Sprintf("grants: a member may have %d entries at most: remove some with null first", maxGrants))
	}
	m.Grants = after
	return nil
}

// grantEdit is what is to become of one entry.
type grantEdit struct {
	key   sdk.Key
	allow []store.Capability // nothing blocks
	reset bool               // back to the default
}

// parseGrants reads edits, in the order of their keys.
func parseGrants(edits wire.GrantEdits) ([]grantEdit, error) {
	if len(edits) > maxGrantEdits {
		return nil, core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("grants: at most %d keys in one request", maxGrantEdits))
	}
	list := make([]grantEdit, 0, len(edits))
	for text, allowed := range edits {
		key, err := sdk.ParseKey(text)
		if err != nil {
			return nil, core.Refuse(sdk.ReasonInvalid, "grants: "+core.Shown(text)+" is no key of a peer: want 64 hex digits")
		}
		e := grantEdit{key: key, reset: allowed == nil}
		if !e.reset {
			if e.allow, err = parseCapabilities(*allowed); err != nil {
				return nil, err
			}
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b grantEdit) int { return strings.Compare(a.key.String(), b.key.String()) })
	for i := range list {
		if i > 0 && list[i].key == list[i-1].key {
			return nil, core.Refuse(sdk.ReasonInvalid, "grants: the key "+core.Shown(list[i].key.String())+" comes twice, in capitals and without")
		}
	}
	return list, nil
}

// parseCapabilities reads a list of capabilities and leaves out repetitions. The
// result is never nil.
func parseCapabilities(texts []string) ([]store.Capability, error) {
	list := []store.Capability{}
	for _, text := range texts {
		capability := store.Capability(text)
		if !slices.Contains(AllCapabilities(), capability) {
			return nil, core.Refuse(sdk.ReasonInvalid, "grants: "+core.Shown(text)+
				" is no capability: want read, dm, broadcast, state-read, state-write or file-read")
		}
		if !slices.Contains(list, capability) {
			list = append(list, capability)
		}
	}
	return list, nil
}

// AllCapabilities returns every capability.
func AllCapabilities() []store.Capability {
	return []store.Capability{
		store.CapRead, store.CapDM, store.CapBroadcast, store.CapStateRead, store.CapStateWrite, store.CapFileRead,
	}
}
