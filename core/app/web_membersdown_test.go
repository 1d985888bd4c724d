package app_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/store"
)

// downStore is a store that fails, with what nobody outside may read, while it is
// down.
type downStore struct {
	store.Store
	down atomic.Bool
}

var errDown = errors.New("pq: SELECT * FROM member WHERE secret = 7")

func (s *downStore) fails() error {
	if s.down.Load() {
		return errDown
	}
	return nil
}

func (s *downStore) ListMembers(ctx context.Context, mesh string) ([]*store.Member, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.ListMembers(ctx, mesh)
}

func (s *downStore) ChangeMember(ctx context.Context, id string, change func(*store.Member) error) (*store.Member, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.ChangeMember(ctx, id, change)
}

func (s *downStore) ChangeRole(ctx context.Context, id string, change func(*store.Member, []*store.Member) error) (*store.Member, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.ChangeRole(ctx, id, change)
}

func (s *downStore) ChangeMesh(ctx context.Context, id string, change func(*store.Mesh) error) (*store.Mesh, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.ChangeMesh(ctx, id, change)
}

// Flaw 17: what the database says stays here.
func TestMemberRoutesWithoutAStore(t *testing.T) {
	var down *downStore
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), guessing, func(o *app.Options) {
		down = &downStore{Store: o.Store}
		o.Store = down
	})
	r.newMesh()
	c := newCrewOn(t, r)
	down.down.Store(true)
	c.wantUnavailable(t, []asked{
		{name: "the list", method: "GET", path: c.membersPath()},
		{name: "a profile", method: "PATCH", path: c.memberPath("bo"), body: `{"roleTag":"r"}`},
		{name: "a role", method: "PATCH", path: c.memberPath("bo"), body: `{"permission":"member"}`},
		{name: "settings", method: "PATCH", path: c.settingsPath(), body: `{"selfEditable":{"groups":true}}`},
		{name: "grants", method: "POST", path: c.grantsPath(), body: fmt.Sprintf(`{"grants":{"%s":[]}}`, c.key("bo"))},
		{name: "permissions", method: "GET", path: c.permissionsPath()},
		{name: "a permission", method: "POST", path: c.permissionsPath(), body: c.permit("bo", `{"canSend":false}`)},
	})
}

// wantUnavailable asks as ada, and wants a 503 that gives nothing away.
func (c *crew) wantUnavailable(t *testing.T, cases []asked) {
	t.Helper()
	for _, tt := range cases {
		t.Run("it fails for "+tt.name, func(t *testing.T) {
			status, answer, _ := c.ask(tt.method, tt.path, c.tokens["ada"], tt.body)
			if status != 503 || answer["code"] != "unavailable" || strings.Contains(fmt.Sprint(answer), "SELECT") {
				t.Errorf("got %d %v", status, answer)
			}
		})
	}
}
