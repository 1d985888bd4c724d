package feature

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
)

var errAway = errors.New("dial tcp 10.0.0.7:5432: connection refused")

// awayStore is a store of which single methods fail.
type awayStore struct {
	*sqlite.Store
	member, mesh, list, revoke, status, values bool
}

func (s awayStore) Value(ctx context.Context, mesh, key string) (*store.Value, error) {
	if s.values {
		return nil, errAway
	}
	return s.Store.Value(ctx, mesh, key)
}

func (s awayStore) ListValues(ctx context.Context, mesh, after string, limit int) ([]*store.Value, error) {
	if s.values {
		return nil, errAway
	}
	return s.Store.ListValues(ctx, mesh, after, limit)
}

func (s awayStore) ValueKeys(ctx context.Context, mesh string) ([]*store.Value, error) {
	if s.values {
		return nil, errAway
	}
	return s.Store.ValueKeys(ctx, mesh)
}

func (s awayStore) MemberByID(ctx context.Context, id string) (*store.Member, error) {
	if s.member {
		return nil, errAway
	}
	return s.Store.MemberByID(ctx, id)
}

func (s awayStore) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	if s.mesh {
		return nil, errAway
	}
	return s.Store.Mesh(ctx, id)
}

func (s awayStore) ListMembers(ctx context.Context, mesh string) ([]*store.Member, error) {
	if s.list {
		return nil, errAway
	}
	return s.Store.ListMembers(ctx, mesh)
}

func (s awayStore) SetRevoked(ctx context.Context, id string, at time.Time) error {
	if s.revoke {
		return errAway
	}
	return s.Store.SetRevoked(ctx, id, at)
}

func (s awayStore) MessageStatus(ctx context.Context, mesh, id string) ([]*store.Status, error) {
	if s.status {
		return nil, errAway
	}
	return s.Store.MessageStatus(ctx, mesh, id)
}

// Forget makes the store a roster that remembers nothing.
func (awayStore) Forget(string) {}

func TestStoresThatAreAway(t *testing.T) {
	const id = `"messageId":"abcdefgh"`
	tests := []struct {
		name  string
		away  awayStore
		frame string
	}{
		{"message_status without members", awayStore{member: true}, `{"type":"message_status",` + id + `}`},
		{"message_status without meshes", awayStore{mesh: true}, `{"type":"message_status",` + id + `}`},
		{"message_status without messages", awayStore{status: true}, `{"type":"message_status",` + id + `}`},
		{"audit_query without members", awayStore{member: true}, `{"type":"audit_query"}`},
		{"kick without members", awayStore{member: true}, `{"type":"kick","all":true}`},
		{"disconnect without meshes", awayStore{mesh: true}, `{"type":"disconnect","all":true}`},
		{"ban without a list", awayStore{list: true}, `{"type":"ban","target":"cy"}`},
		{"ban that is not written", awayStore{revoke: true}, `{"type":"ban","target":"cy"}`},
		{"unban without a list", awayStore{list: true}, `{"type":"unban","target":"cy"}`},
		{"list_bans without a list", awayStore{list: true}, `{"type":"list_bans"}`},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPartyOn(t, st)
			tt.away.Store = p.store
			reg := All(Deps{Directory: p.dir, Engine: p.engine, Roster: tt.away, Store: tt.away, Sessions: p.rig})
			got, records := p.gil.askOf(reg, tt.frame)
			wantText(t, got, `{"type":"error","code":"unavailable","message":"the broker cannot reach its store: try again in a moment"}`)
			wantList(t, "records", recorded(records), nil)
			wantList(t, "closed", p.over(), nil)
		})
	}
}

func TestCausesOfRefusalsAreForTheLog(t *testing.T) {
	p := newParty(t)
	away := awayStore{Store: p.store, list: true}
	reg := All(Deps{Directory: p.dir, Engine: p.engine, Roster: away, Store: away, Sessions: p.rig})
	owner := reg.Owner("list_bans")
	call, _ := p.bo.call(owner, `{"type":"list_bans"}`)
	p.bo.decide(reg, owner, call)
	if !errors.Is(call.Err, errAway) || !strings.Contains(call.Err.Error(), "10.0.0.7") {
		t.Errorf("got %v", call.Err)
	}
}
