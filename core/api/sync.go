package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// SyncMeshes is the body of POST /cli-sync.
type SyncMeshes struct {
	Token       string `json:"sync_token" required:"true" max:"16384" doc:"JWT of the operator's web application, HS256 with http.sync_secret, good once and for an hour at most"`
	Pubkey      string `json:"peer_pubkey" required:"true" max:"128" doc:"ed25519 key to enrol, 64 hex digits"`
	DisplayName string `json:"display_name" required:"true" max:"256" doc:"name shown to others"`
}

// MeshesSynced answers a [SyncMeshes].
type MeshesSynced struct {
	OK        bool         `json:"ok" doc:"true"`
	AccountID string       `json:"account_id" doc:"id of the account, which the token names"`
	Meshes    []SyncedMesh `json:"meshes" doc:"the meshes of the token that the account is in already"`
}

// SyncedMesh is a mesh in which the key is a member now.
type SyncedMesh struct {
	MeshID    string     `json:"mesh_id" doc:"id of the mesh"`
	Slug      string     `json:"slug" doc:"its slug"`
	BrokerURL string     `json:"broker_url" doc:"WebSocket URL to connect to"`
	MemberID  string     `json:"member_id" doc:"id of the member"`
	Role      store.Role `json:"role" doc:"the member's role; the token's is not read"`
}

// Sync adds the route by which a command line takes over the meshes of an
// account that is signed in to the operator's web application.
func Sync(t *Table, d Deps) {
	s := &syncs{d}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli-sync", Kind: "http.sync", Group: "Joining",
		Summary: "enrols a key in the meshes of an account that a web application vouches for",
		Access:  feature.AnyoneKnown, Guessable: true, Missing: textSyncMissing, Otherwise: http.StatusBadRequest,
		Refusals: []sdk.Reason{sdk.ReasonMalformed, ReasonSyncToken, ReasonNoMeshes},
	}, s.sync)
}

// Reasons of syncs alone.
const (
	ReasonSyncToken sdk.Reason = "sync_token_invalid"
	ReasonNoMeshes  sdk.Reason = "no_meshes"
)

const textSyncMissing = "sync_token, peer_pubkey, display_name required"

// maxEmail bounds the address that a sync token says of an account, in bytes. Its
// id has to be one that a member can be linked to.
const maxEmail = 320

type syncs struct{ Deps }

// sync enrols a key in the meshes that the token names and in which the
// account is somebody already, as what it is there. The role that the token
// asks for counts for nothing, since whoever signs in to the web application can
// ask for any.
//
// The account is made when there is none: the operator can then let it into a
// mesh. The token is spent behind all checks, so that one that is refused can be
// used again. What is written after that is one transaction for each mesh; a
// sync that the store breaks off is repeated with another token, and finds what
// it has written.
func (s *syncs) sync(ctx context.Context, c *feature.Call, m *SyncMeshes) (*MeshesSynced, error) {
	now := c.Env.Arrived
	key, err := m.check()
	if err != nil {
		return nil, err
	}
	sync, err := token.ParseSync(m.Token, []byte(s.Config.SyncSecret.Reveal()), now)
	if err != nil {
		return nil, badSync(err.Error())
	}
	if !plain(sync.Account) || !identity.LinkableAccount(sync.Account) || !fits(sync.Email, maxEmail) {
		return nil, badSync(token.ErrMalformed.Error())
	}
	if err := s.account(ctx, sync, now); err != nil {
		return nil, err
	}
	entries, err := s.entries(ctx, c, sync, key)
	switch {
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, core.Refuse(ReasonNoMeshes, "no valid meshes found in sync token")
	}
	fresh, err := s.Store.UseOnce(ctx, sha256.Sum256([]byte("sync token "+sync.ID)), sync.ExpiresAt)
	switch {
	case err != nil:
		return nil, core.Unavailable(err)
	case !fresh:
		return nil, badSync("token already used")
	}
	answer := &MeshesSynced{OK: true, AccountID: sync.Account, Meshes: make([]SyncedMesh, 0, len(entries))}
	for _, e := range entries {
		member, err := s.enrol(ctx, e, sync.Account, key, m.DisplayName, now)
		if err != nil {
			return nil, err
		}
		if member == nil {
			continue
		}
		answer.Meshes = append(answer.Meshes, SyncedMesh{
			MeshID: e.mesh.ID, Slug: e.mesh.Slug, BrokerURL: s.URL(), MemberID: member.ID, Role: member.Role,
		})
	}
	return answer, nil
}

// check looks at all of the body but the token.
func (m *SyncMeshes) check() (sdk.Key, error) {
	if m.Token == "" || m.Pubkey == "" || m.DisplayName == "" {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, textSyncMissing)
	}
	if !plain(m.DisplayName) {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "display_name: must be plain text, without control characters")
	}
	key, err := sdk.ParseKey(m.Pubkey)
	if err != nil {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be 64 hex chars (32 bytes)")
	}
	if identity.SmallOrder(key) {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be an ed25519 key that can sign")
	}
	return key, nil
}

func fits(text string, limit int) bool { return len(text) <= limit && plain(text) }

// account makes the token's account when there is none, and refuses one that
// the operator has disabled.
func (s *syncs) account(ctx context.Context, sync token.Sync, now time.Time) error {
	a, err := s.Store.Account(ctx, sync.Account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err := s.Store.CreateAccount(ctx, &store.Account{
			ID: sync.Account, Email: sync.Email, CreatedAt: now.UTC().Truncate(time.Millisecond),
		})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return core.Unavailable(err)
		}
		return nil
	case err != nil:
		return core.Unavailable(err)
	case !a.Enabled():
		return badSync("the account is disabled")
	}
	return nil
}

// entry is a mesh in which a sync enrols its key.
type entry struct {
	mesh   *store.Mesh
	role   store.Role
	may    store.Permissions // what was decided about the account's member
	member *store.Member     // who has the key there; nil for nobody
}

// entries returns the meshes of a token that its account is in and in which the
// key can be the account's: it is new there, or the account's already, or
// nobody's and the request is signed with it. Others are passed over.
func (s *syncs) entries(ctx context.Context, c *feature.Call, sync token.Sync, key sdk.Key) ([]entry, error) {
	asked := make(map[string]bool, len(sync.Meshes))
	for _, m := range sync.Meshes {
		asked[m.ID] = true
	}
	rows, err := s.Store.AccountMeshes(ctx, sync.Account)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	proved := c.Member != nil && c.Member.Key == key
	var list []entry
	for _, row := range rows {
		if !asked[row.Mesh.ID] {
			continue
		}
		if key == row.Mesh.OwnerKey && !proved {
			continue // whoever has the owner's key is the owner
		}
		e := entry{mesh: row.Mesh}
		e.role, _ = standing(row, &store.Account{ID: sync.Account})
		if row.Member != nil {
			e.may = row.Member.Permissions
		}
		e.member, err = s.Store.Member(ctx, row.Mesh.ID, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			e.member = nil
		case err != nil:
			return nil, core.Unavailable(err)
		case !e.member.Live():
			continue
		case e.member.AccountID != sync.Account && (e.member.AccountID != "" || !proved):
			continue
		}
		list = append(list, e)
	}
	return list, nil
}

// enrol makes the key a member of a mesh, or gives the member that it is to the
// account. A member keeps its role, and takes the name where members may choose
// theirs. Nil: somebody else was faster to take the key.
func (s *syncs) enrol(ctx context.Context, e entry, account string, key sdk.Key, name string, now time.Time) (*store.Member, error) {
	if e.member == nil {
		m := &store.Member{
			ID: identity.NewID(), MeshID: e.mesh.ID, Key: key, DisplayName: name, Role: e.role, MessageMode: "push",
			Permissions: e.may, AccountID: account, JoinedAt: now.UTC().Truncate(time.Millisecond),
		}
		err := s.Store.AddMember(ctx, m)
		if err == nil {
			return m, s.journal(ctx, m, "member_joined", audit.String("via", "sync"), audit.String("account", account),
				audit.String("pubkey", key.String()), audit.String("role", string(m.Role)))
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, core.Unavailable(err)
		}
		if e.member, err = s.Store.Member(ctx, e.mesh.ID, key); err != nil {
			return nil, core.Unavailable(err)
		}
		if e.member.AccountID != account {
			return nil, nil
		}
	}
	return s.adopt(ctx, e, account, name)
}

// adopt gives a member to the account, unless it has become another one's.
func (s *syncs) adopt(ctx context.Context, e entry, account, name string) (*store.Member, error) {
	taken := errors.New("somebody has the member already")
	before, linked := e.member.DisplayName, false
	changed, err := s.Store.ChangeMember(ctx, e.member.ID, func(m *store.Member) error {
		if !m.Live() || m.AccountID != "" && m.AccountID != account {
			return taken
		}
		linked = m.AccountID == ""
		m.AccountID = account
		if e.mesh.Policy.DisplayName {
			m.DisplayName = name
		}
		return nil
	})
	switch {
	case errors.Is(err, taken), errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, core.Unavailable(err)
	}
	s.Nodes.Forget(changed.ID)
	if changed.DisplayName != before {
		s.Nodes.Rename(e.mesh.ID, changed.ID, before, changed.DisplayName)
	}
	if linked {
		err = s.journal(ctx, changed, "member_linked", audit.String("via", "sync"), audit.String("account", account),
			audit.String("member", changed.ID))
	}
	return changed, err
}

// journal writes to the audit log of a member's mesh, on disk when it returns: a
// request has one mesh for its own records, and a sync is about several.
func (s *syncs) journal(ctx context.Context, m *store.Member, event string, fields ...audit.Field) error {
	err := s.Record(ctx, &audit.Entry{
		MeshID: m.MeshID, EventType: event, Payload: audit.Object(fields...), CreatedAt: time.Now(),
		ActorMemberID: m.ID, ActorName: m.DisplayName,
	})
	if err != nil {
		return core.Unavailable(err)
	}
	return nil
}

func badSync(why string) error { return core.Refuse(ReasonSyncToken, "sync token invalid: "+why) }
