package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// AskProfile is GET /api/my/profile.
type AskProfile struct{}

// LinkMember is the body of POST /cli/mesh/{slug}/link.
type LinkMember struct {
	Slug      string         `path:"slug" json:"-" doc:"slug or id of the mesh"`
	Pubkey    string         `json:"pubkey" required:"true" max:"128" doc:"the member's ed25519 key, 64 hex digits"`
	Timestamp jsontext.Value `json:"timestamp" required:"true" max:"64" form:"number" doc:"clock of the caller, ms since 1970, at most 60000 ms from the broker's"`
	Signature string         `json:"signature" required:"true" max:"256" doc:"ed25519 signature by the member's key over claudemesh-link-v1|<mesh id>|<pubkey>|<account id>|<timestamp>, 128 hex digits"`
}

// MeshName implements [feature.MeshNamer].
func (m *LinkMember) MeshName() string { return m.Slug }

// MemberLinked answers a [LinkMember].
type MemberLinked struct {
	OK       bool   `json:"ok" doc:"true"`
	MemberID string `json:"member_id" doc:"the member that is the caller's now"`
}

// Profile adds the routes by which an account looks at itself and claims its
// members.
func Profile(t *Table, d Deps) {
	p := &profile{d}
	On(t, Route{
		Method: http.MethodGet, Path: "/api/my/profile", Kind: "http.account.profile", Group: groupSignIn,
		Summary: "describes the caller's account", Access: feature.AnAccount, Body: BodyNone,
	}, p.show)
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/mesh/{slug}/link", Kind: "http.member.link", Group: groupSignIn,
		Summary: "ties a member, whose key signs for it, to the caller's account", Access: feature.AnAccount, BadBody: textBadBody,
		Status: map[sdk.Reason]int{sdk.ReasonSkew: http.StatusBadRequest, sdk.ReasonBadSignature: http.StatusForbidden},
		Refusals: []sdk.Reason{
			sdk.ReasonMalformed, sdk.ReasonSkew, sdk.ReasonBadSignature, sdk.ReasonUnknownMesh, sdk.ReasonForbidden, ReasonConflict,
		},
	}, p.link)
}

type profile struct{ Deps }

func (p *profile) show(_ context.Context, c *feature.Call, _ *AskProfile) (*SignedInPerson, error) {
	person := personOf(c.HTTP.Account)
	return &person, nil
}

// link ties a member to the caller's account. Both have agreed: the account by
// its token, the member by its signature, which names the account.
func (p *profile) link(ctx context.Context, c *feature.Call, m *LinkMember) (*MemberLinked, error) {
	mesh := c.HTTP.Mesh
	if mesh == nil {
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "Mesh not found")
	}
	refusal := identity.CheckLink(identity.LinkProof{
		MeshID: mesh.ID, Pubkey: m.Pubkey, AccountID: c.HTTP.Account.ID, TimestampToken: m.Timestamp, Signature: m.Signature,
	}, c.Env.Arrived)
	if !refusal.OK() {
		return nil, core.Refuse(refusal.Reason(), linkTexts[refusal])
	}
	key, err := sdk.ParseKey(m.Pubkey)
	if err != nil {
		return nil, core.Refuse(sdk.ReasonMalformed, linkTexts[identity.Malformed])
	}
	member, err := p.Store.Member(ctx, mesh.ID, key)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !member.Live():
		return nil, core.Refuse(sdk.ReasonForbidden, textNobodyHere)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	if member, err = p.tie(ctx, c, member, c.HTTP.Account.ID); err != nil {
		return nil, err
	}
	return &MemberLinked{OK: true, MemberID: member.ID}, nil
}

var linkTexts = map[identity.Refusal]string{
	identity.TimestampSkew: "timestamp must be a number of milliseconds, at most a minute from the broker's clock: set the clock",
	identity.Malformed:     "pubkey must be 64 hex digits, and signature 128",
	identity.BadSignature:  "the signature does not cover claudemesh-link-v1|<mesh id>|<pubkey>|<account id>|<timestamp>, or another key made it",
}

// Ends of a change of a member that is not tied.
var (
	errTied = errors.New("the member has an account")
	errGone = errors.New("the member was revoked")
)

const textNobodyHere = "Not a member of this mesh"

// tie makes a live member an account's. It refuses one that is another account's;
// the same one again changes nothing.
func (d *Deps) tie(ctx context.Context, c *feature.Call, member *store.Member, account string) (*store.Member, error) {
	if member.AccountID == account {
		return member, nil
	}
	changed, err := d.Store.ChangeMember(ctx, member.ID, func(m *store.Member) error {
		switch {
		case !m.Live():
			return errGone
		case m.AccountID != "" && m.AccountID != account:
			return errTied
		}
		m.AccountID = account
		return nil
	})
	switch {
	case errors.Is(err, errGone), errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonForbidden, textNobodyHere)
	case errors.Is(err, errTied):
		return nil, core.Refuse(ReasonConflict, "this member belongs to another account: ask the operator of the broker")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	d.tied(c, changed)
	return changed, nil
}

// tied tells everybody who has to know that a member has got an account.
func (d *Deps) tied(c *feature.Call, changed *store.Member) {
	d.Nodes.Forget(changed.ID)
	s := &c.Env.Sender
	s.MemberID, s.Member, s.Name = changed.ID, changed.Key, changed.DisplayName
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "member_linked", Payload: audit.Object(
		audit.String("pubkey", changed.Key.String()), audit.String("account", changed.AccountID))})
}

// accountOf returns the account that the calling member, which has signed the
// request, belongs to. One that joined by an invite has none yet: it gets one of
// its own, so that it can sign in. Legacy-auth does not take that account's id for
// a proof, since no old client can know it.
func (d *Deps) accountOf(ctx context.Context, c *feature.Call) (*store.Account, error) {
	if id := c.Member.AccountID; id != "" {
		return d.soleMember(ctx, c, id)
	}
	a := &store.Account{ID: identity.NewID(), Name: c.Member.DisplayName, CreatedAt: c.Env.Arrived, NoLegacy: true}
	switch changed, err := d.Store.AddAccountFor(ctx, c.Member.ID, a); {
	case errors.Is(err, store.ErrConflict): // it has got one meanwhile, of its own or somebody's who has more
		m, err := d.Store.MemberByID(ctx, c.Member.ID)
		if err != nil {
			return nil, core.Unavailable(err)
		}
		return d.soleMember(ctx, c, m.AccountID)
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonForbidden, textNobodyHere)
	case err != nil:
		return nil, core.Unavailable(err)
	default:
		d.tied(c, changed)
		return a, nil
	}
}

// soleMember returns the account of the calling member if there is nothing else
// behind it. A key that lies on one machine must not open what its owner has in
// other meshes.
func (d *Deps) soleMember(ctx context.Context, c *feature.Call, account string) (*store.Account, error) {
	a, err := d.enabled(ctx, account)
	if err != nil {
		return nil, err
	}
	rows, err := d.Store.AccountMeshes(ctx, account)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	for _, row := range rows {
		if row.Mesh.OwnerAccount == account || row.Member == nil || row.Member.ID != c.Member.ID {
			return nil, core.Refuse(sdk.ReasonForbidden,
				"this member's account has more than this member: sign in with a device code, or with a one-time code of the operator's")
		}
	}
	return a, nil
}
