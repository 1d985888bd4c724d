package feature

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of contexts, of which every member has one.
const (
	contextBytes  = 64 << 10 // of all its texts, as much as a frame of the original's
	foundContexts = 20       // in one answer
	knownContexts = 500      // in one list
)

// ContextStore keeps contexts.
type ContextStore interface {
	ShareContext(ctx context.Context, c *store.Context, sig *store.Signal) (id string, err error)
	FindContexts(ctx context.Context, mesh, query string, except []string, limit int) ([]*store.Context, error)
	ListContexts(ctx context.Context, mesh string, except []string, limit int) ([]*store.Context, error)
}

// Contexts lets members say what they know.
func Contexts(r *Registry, st ContextStore, who Roster, a Announcer) {
	s := &contexts{store: st, roster: who, announcer: a}
	On(r, s.share).Needs(store.CanWriteState).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.ContextShared{Error: worded(why, text)}
	})
	On(r, s.get).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.ContextResults{Contexts: []wire.ContextRow{}, Error: worded(why, text)}
	})
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.ContextList{Contexts: []wire.ContextBrief{}, Error: worded(why, text)}
	})
}

type contexts struct {
	store     ContextStore
	roster    Roster
	announcer Announcer
}

// share replaces the member's context, and tells the others its summary.
func (s *contexts) share(ctx context.Context, c *Call, m *wire.ShareContext) (wire.ContextShared, error) {
	if err := checkContext(m); err != nil {
		return wire.ContextShared{}, err
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return wire.ContextShared{}, err
	}
	row := &store.Context{
		ID: identity.NewID(), MeshID: c.Env.Mesh, MemberID: by.ID, Name: by.DisplayName, Summary: m.Summary,
		FilesRead: m.FilesRead, KeyFindings: m.KeyFindings, Tags: m.Tags, UpdatedAt: time.Now(),
	}
	frame, err := wire.Append(nil, wire.StateChange{
		Key: contextKeys + row.Name, Value: jsonText(row.Summary), UpdatedBy: row.Name, UpdatedAt: row.UpdatedAt,
	})
	if err != nil {
		return wire.ContextShared{}, err
	}
	id := ""
	n := Notice{Mesh: c.Env.Mesh, From: From(c), Needs: store.CapStateRead, Frame: string(frame)}
	err = s.announcer.Announce(ctx, n, func(ctx context.Context, sig *store.Signal) (changed bool, err error) {
		id, err = s.store.ShareContext(ctx, row, sig)
		return err == nil, err
	})
	if err != nil {
		if refused, ok := errors.AsType[*core.Error](err); ok {
			return wire.ContextShared{}, refused
		}
		return wire.ContextShared{}, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "context_shared", Payload: audit.Object(audit.String("contextId", id))})
	return wire.ContextShared{ID: id}, nil
}

// checkContext refuses a context that is larger than others want to read.
func checkContext(m *wire.ShareContext) error {
	size := len(m.Summary)
	for _, list := range [][]string{m.FilesRead, m.KeyFindings, m.Tags} {
		for _, text := range list {
			size += len(text)
		}
	}
	if size > contextBytes {
		return core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("summary, filesRead, keyFindings and tags: want at most %d bytes together", contextBytes))
	}
	return nil
}

// get finds contexts.
func (s *contexts) get(ctx context.Context, c *Call, m *wire.GetContext) (wire.ContextResults, error) {
	found, err := inSight(ctx, sightOf(c, s.roster), contextMember, func(except []string) ([]*store.Context, error) {
		return s.store.FindContexts(ctx, c.Env.Mesh, m.Query, except, foundContexts)
	})
	if err != nil {
		return wire.ContextResults{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Name, found[row].Summary)
		add(found[row].FilesRead...)
		add(found[row].KeyFindings...)
		add(found[row].Tags...)
	})]
	result := wire.ContextResults{Contexts: make([]wire.ContextRow, len(found))}
	for i, row := range found {
		result.Contexts[i] = wire.ContextRow{
			PeerName: row.Name, Summary: row.Summary, FilesRead: row.FilesRead, KeyFindings: row.KeyFindings, Tags: row.Tags,
			UpdatedAt: row.UpdatedAt,
		}
	}
	return result, nil
}

// list returns the summaries of all contexts.
func (s *contexts) list(ctx context.Context, c *Call, _ *wire.ListContexts) (wire.ContextList, error) {
	found, err := inSight(ctx, sightOf(c, s.roster), contextMember, func(except []string) ([]*store.Context, error) {
		return s.store.ListContexts(ctx, c.Env.Mesh, except, knownContexts)
	})
	if err != nil {
		return wire.ContextList{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Name, found[row].Summary)
		add(found[row].Tags...)
	})]
	list := wire.ContextList{Contexts: make([]wire.ContextBrief, len(found))}
	for i, row := range found {
		list.Contexts[i] = wire.ContextBrief{PeerName: row.Name, Summary: row.Summary, Tags: row.Tags, UpdatedAt: row.UpdatedAt}
	}
	return list, nil
}

func contextMember(c *store.Context) string { return c.MemberID }
