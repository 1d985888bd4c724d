package feature

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ban revokes a member and ends its sessions. To ban again who is banned is no
// error: the answer to the first time may have been lost.
func (m *moderation) ban(ctx context.Context, c *Call, req *wire.Ban) (wire.BanAck, error) {
	by, err := m.moderator(ctx, c)
	if err != nil {
		return wire.BanAck{}, err
	}
	who, err := m.meant(ctx, c, req.Target, true)
	switch {
	case err != nil:
		return wire.BanAck{}, err
	case who.ID == by.ID:
		return wire.BanAck{}, core.Refuse(sdk.ReasonInvalid, "target: you cannot ban yourself")
	case by.mesh.OwnedBy(who):
		return wire.BanAck{}, errOwner
	}
	if who.Live() {
		if err := m.setRevoked(ctx, who, c.Env.Arrived); err != nil {
			return wire.BanAck{}, err
		}
		c.Env.Records = append(c.Env.Records, moderated("member_banned", who.DisplayName, who.Key))
	}
	m.ender.Revoked(who.ID)
	return wire.BanAck{Banned: who.DisplayName}, nil
}

// unban lets a member come back. To do it twice is no error either.
func (m *moderation) unban(ctx context.Context, c *Call, req *wire.Unban) (wire.UnbanAck, error) {
	if _, err := m.moderator(ctx, c); err != nil {
		return wire.UnbanAck{}, err
	}
	who, err := m.meant(ctx, c, req.Target, false)
	if err != nil {
		return wire.UnbanAck{}, err
	}
	if !who.Live() {
		if err := m.setRevoked(ctx, who, time.Time{}); err != nil {
			return wire.UnbanAck{}, err
		}
		c.Env.Records = append(c.Env.Records, moderated("member_unbanned", who.DisplayName, who.Key))
	}
	return wire.UnbanAck{Unbanned: who.DisplayName}, nil
}

func (m *moderation) listBans(ctx context.Context, c *Call, _ *wire.ListBans) (wire.ListBansResult, error) {
	members, err := m.store.ListMembers(ctx, c.Env.Mesh)
	if err != nil {
		return wire.ListBansResult{}, core.Unavailable(err)
	}
	result := wire.ListBansResult{Bans: []wire.BanRow{}}
	for _, b := range members {
		if !b.Live() {
			result.Bans = append(result.Bans, wire.BanRow{Name: b.DisplayName, Pubkey: b.Key, RevokedAt: b.RevokedAt})
		}
	}
	return result, nil
}

// meant returns the member that a target means. Members that are live, or those
// that are not, come first: who bans "bo" does not mean the bo of last year.
func (m *moderation) meant(ctx context.Context, c *Call, text string, live bool) (*store.Member, error) {
	t := parseTarget(text)
	if t.empty() {
		return nil, core.Refuse(sdk.ReasonInvalid, "target: say whom, by display name or key")
	}
	members, err := m.store.ListMembers(ctx, c.Env.Mesh)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	var first, second []*store.Member
	for _, x := range members {
		if x.Live() == live {
			first = append(first, x)
		} else {
			second = append(second, x)
		}
	}
	views := m.dir.Views(c.Env.Mesh)
	for _, list := range [][]*store.Member{first, second} {
		if who, err := t.member(list, views); who != nil || err != nil {
			return who, err
		}
	}
	return m.bySessionKey(ctx, c.Env.Mesh, t, members)
}

// bySessionKey finds the member behind the key of a session that is gone: it is
// all that some clients show of a sender.
func (m *moderation) bySessionKey(ctx context.Context, mesh string, t target, members []*store.Member) (*store.Member, error) {
	if !t.key.IsZero() {
		id, err := m.roster.SessionKeyOwner(ctx, mesh, t.key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, core.Unavailable(err)
		}
		for _, x := range members {
			if x.ID == id {
				return x, nil
			}
		}
	}
	return nil, core.Refuse(sdk.ReasonNotFound, "target: no member of this mesh has this name or key")
}

// setRevoked changes the row, on disk when it returns. The roster forgets the
// old one even if that failed: nobody knows then what is on disk.
func (m *moderation) setRevoked(ctx context.Context, who *store.Member, at time.Time) error {
	err := m.store.SetRevoked(ctx, who.ID, at)
	m.roster.Forget(who.ID)
	if err != nil {
		return core.Unavailable(err)
	}
	return nil
}
