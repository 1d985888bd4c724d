package feature

import (
	"context"
	"errors"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// idPrefix is the least that must be given of a message id: 62⁸ are too many to
// try.
const idPrefix = 8

// Recents knows the latest messages, those that never needed a row too.
type Recents interface {
	Recent(mesh, idPrefix string) []*store.Status
}

// StatusStore knows the messages on disk.
type StatusStore interface {
	MessageStatus(ctx context.Context, mesh, idPrefix string) ([]*store.Status, error)
}

// MessageStatus tells what became of a message.
func MessageStatus(r *Registry, dir *presence.Directory, recent Recents, st StatusStore, who Roster) {
	s := &statuses{dir: dir, recent: recent, store: st, roster: who}
	On(r, s.status)
}

type statuses struct {
	dir    *presence.Directory
	recent Recents
	store  StatusStore
	roster Roster
}

// status answers for messages that concern the asker: its member sent it, it is
// a recipient, or it is an admin. Others learn nothing, not even that there is
// such a message.
func (s *statuses) status(ctx context.Context, c *Call, m *wire.MessageStatus) (wire.MessageStatusResult, error) {
	if !isMessageID(m.MessageID) {
		return wire.MessageStatusResult{}, core.Refuse(sdk.ReasonInvalidArguments,
			"messageId: want the id of a message, 32 letters and digits, or its first 8 or more")
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return wire.MessageStatusResult{}, err
	}
	recent := s.recent.Recent(c.Env.Mesh, m.MessageID)
	stored, err := s.store.MessageStatus(ctx, c.Env.Mesh, m.MessageID)
	if err != nil {
		return wire.MessageStatusResult{}, core.Unavailable(err)
	}
	found := mergeStatuses(recent, stored)
	switch {
	case !slices.ContainsFunc(found, by.concerned):
		return wire.MessageStatusResult{}, core.Refuse(sdk.ReasonNotFound, "no message of yours has this id")
	case len(found) > 1:
		return wire.MessageStatusResult{}, core.Refuse(sdk.ReasonAmbiguous,
			"several messages have ids that begin so: give more of the id")
	}
	return s.result(ctx, by, found[0])
}

func isMessageID(id string) bool {
	if len(id) < idPrefix || len(id) > identity.IDSize {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// concerned reports whether the member may know about a message.
func (a asker) concerned(s *store.Status) bool {
	return a.admin() || s.Message.SenderMemberID == a.ID ||
		slices.ContainsFunc(s.Deliveries, func(d store.DeliveryStatus) bool { return d.MemberID == a.ID })
}

// result describes one message. A message that was for nobody was not
// delivered.
func (s *statuses) result(ctx context.Context, by asker, st *store.Status) (wire.MessageStatusResult, error) {
	res := wire.MessageStatusResult{
		MessageID: st.Message.ID, TargetSpec: st.Message.TargetSpec,
		Delivered:  len(st.Deliveries) > 0,
		Recipients: make([]wire.MessageRecipient, len(st.Deliveries)),
	}
	here := whereabouts(shown(s.dir.Views(st.Message.MeshID), by.Key))
	for i := range st.Deliveries {
		d := &st.Deliveries[i]
		name, err := s.name(ctx, d, here)
		if err != nil {
			return res, err
		}
		res.Recipients[i] = wire.MessageRecipient{Name: name, Pubkey: d.Recipient.String(), Status: here.status(d)}
		res.Delivered = res.Delivered && !d.DeliveredAt.IsZero()
		if res.DeliveredAt == nil || d.DeliveredAt.After(*res.DeliveredAt) {
			res.DeliveredAt = &d.DeliveredAt
		}
	}
	if !res.Delivered {
		res.DeliveredAt = nil
	}
	res.Recipients = res.Recipients[:fitting(len(res.Recipients), func(row int, add func(...string)) {
		add(res.Recipients[row].Name, res.Recipients[row].Pubkey)
	})]
	return res, nil
}

// name returns the name of the session that a delivery is for, or its member's
// when the session is not here.
func (s *statuses) name(ctx context.Context, d *store.DeliveryStatus, here places) (string, error) {
	if p, ok := here[d.Recipient]; ok && p.name != "" {
		return p.name, nil
	}
	m, err := s.roster.MemberByID(ctx, d.MemberID)
	if errors.Is(err, store.ErrNotFound) {
		return "unknown", nil
	}
	if err != nil {
		return "", core.Unavailable(err)
	}
	return m.DisplayName, nil
}

// places says what is known about the keys of those who are here.
type places map[sdk.Key]place

type place struct {
	name   string // of the session that the key routes to; empty for a key of several
	online bool   // a session behind the key has a connection
}

func whereabouts(views []presence.View) places {
	here := places{}
	for i := range views {
		v := &views[i]
		at := here[v.Routing()]
		here[v.Routing()] = place{name: v.Name, online: at.online || v.Online}
		if !v.Key.IsZero() {
			at = here[v.Member]
			here[v.Member] = place{name: at.name, online: at.online || v.Online}
		}
	}
	return here
}

// status tells where a delivery stands. What was given up waits for nobody, and
// is told like what never reached its recipient.
func (p places) status(d *store.DeliveryStatus) string {
	switch {
	case !d.DeliveredAt.IsZero():
		return "delivered"
	case !d.Expired && p[d.Recipient].online:
		return "held"
	default:
		return "disconnected"
	}
}

// mergeStatuses puts together what memory and disk know. Memory has deliveries
// that were confirmed before they needed a row; disk has messages that memory
// has dropped, and marks that it missed.
func mergeStatuses(recent, stored []*store.Status) []*store.Status {
	found := slices.Clone(recent)
	for _, s := range stored {
		i := slices.IndexFunc(found, func(f *store.Status) bool { return f.Message.ID == s.Message.ID })
		if i < 0 {
			found = append(found, s)
			continue
		}
		for _, d := range s.Deliveries {
			mergeDelivery(found[i], d)
		}
	}
	return found
}

func mergeDelivery(s *store.Status, d store.DeliveryStatus) {
	i := slices.IndexFunc(s.Deliveries, func(x store.DeliveryStatus) bool { return x.Recipient == d.Recipient })
	switch {
	case i < 0:
		s.Deliveries = append(s.Deliveries, d)
	case s.Deliveries[i].DeliveredAt.IsZero():
		s.Deliveries[i] = d
	}
}
