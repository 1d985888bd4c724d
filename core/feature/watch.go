package feature

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/watch"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of watches: the broker asks strangers' servers in its own name.
const (
	watchesPerMesh   = 100
	watchesPerMember = 20
	watchHeaders     = 16
	shortestInterval = 15 * time.Second
	usualInterval    = 30 * time.Second
	longestInterval  = 24 * time.Hour
)

// WatchStore keeps watches.
type WatchStore interface {
	CreateWatch(ctx context.Context, w *store.Watch, room store.Room) (id string, fresh bool, err error)
	ListWatches(ctx context.Context, mesh, member string) ([]*store.Watch, error)
	DeleteWatch(ctx context.Context, mesh, member, id string) (*store.Watch, error)
}

// Watches has the broker look at URLs for members. URLs says which it may look at;
// nil where the operator wants none of it. What looks is in package watch.
func Watches(r *Registry, st WatchStore, urls *watch.Client, keys *identity.AtRest) {
	w := &watches{store: st, urls: urls, keys: keys}
	refused := func(_ *Call, why sdk.Reason, text string) wire.Frame { return wire.WatchAck{Error: worded(why, text)} }
	On(r, w.watch).Needs(store.CanManageWatches).RefuseWith(refused)
	On(r, w.unwatch).RefuseWith(refused)
	On(r, w.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.WatchListResult{Watches: []wire.WatchRow{}, Error: worded(why, text)}
	})
}

type watches struct {
	store WatchStore
	urls  *watch.Client
	keys  *identity.AtRest
}

// watch makes a watch.
func (w *watches) watch(ctx context.Context, c *Call, m *wire.Watch) (wire.WatchAck, error) {
	if w.urls == nil {
		return wire.WatchAck{}, core.Refuse(ReasonNotAvailable, "watches are switched off on this broker: ask its operator for watch.enabled")
	}
	headers, err := w.check(m)
	if err != nil {
		return wire.WatchAck{}, err
	}
	now := time.Now()
	row := &store.Watch{
		ID: identity.NewID(), MeshID: c.Env.Mesh, MemberID: c.Env.Sender.MemberID, URL: m.URL, Mode: cmp.Or(m.Mode, watch.Hash),
		Extract: m.Extract, NotifyOn: cmp.Or(m.NotifyOn, "change"), Label: m.Label, Every: interval(m.Interval), CreatedAt: now,
		WatchState: store.WatchState{NextAt: now},
	}
	asked, _ := json.Marshal([]any{row.URL, row.Mode, row.Extract, row.NotifyOn, row.Label, row.Every, headers}) // texts are always JSON
	row.Request = sha256.Sum256(asked)
	watch.SealHeaders(w.keys, row, headers)
	id, fresh, err := w.store.CreateWatch(ctx, row, store.Room{Mesh: watchesPerMesh, Member: watchesPerMember})
	if err != nil {
		return wire.WatchAck{}, noRoom(err, "watches", "end some with unwatch")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, ofWatch("watch_created", row))
	}
	return wire.WatchAck{WatchID: id, URL: row.URL, Mode: row.Mode, Interval: int64(row.Every / time.Second)}, nil
}

// ofWatch is the record of what was done to a watch. Paths and queries may hold
// what is nobody else's business.
func ofWatch(event string, w *store.Watch) sdk.Record {
	host := ""
	if u, err := url.Parse(w.URL); err == nil {
		host = u.Host
	}
	return sdk.Record{Event: event, Payload: audit.Object(audit.String("watchId", w.ID), audit.String("host", host))}
}

// interval returns how long it is from one look to the next.
func interval(seconds *int64) time.Duration {
	if seconds == nil {
		return usualInterval
	}
	n := min(max(*seconds, int64(shortestInterval/time.Second)), int64(longestInterval/time.Second))
	return time.Duration(n) * time.Second
}

// check refuses what could never be looked at, and returns the headers.
func (w *watches) check(m *wire.Watch) (map[string]string, error) {
	u, err := url.Parse(m.URL)
	if err != nil {
		return nil, core.Refuse(sdk.ReasonInvalid, "url: want a URL")
	}
	if err := w.urls.Check(u); err != nil {
		return nil, core.Refuse(sdk.ReasonInvalid, "url: "+err.Error())
	}
	if m.NotifyOn != "" {
		if err := watch.CheckNotify(m.NotifyOn); err != nil {
			return nil, core.Refuse(sdk.ReasonInvalid, "notify_on: "+err.Error())
		}
	}
	return checkHeaders(m.Headers)
}

// hopHeaders are those that a client must not choose: they are about the
// connection, or make one request of several.
var hopHeaders = []string{
	"Connection", "Content-Length", "Expect", "Forwarded", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
}

// headerLetters are what names of headers have (RFC 9110).
const headerLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"

// checkHeaders returns headers by their canonical names.
func checkHeaders(raw jsontext.Value) (map[string]string, error) {
	if raw == nil || raw.Kind() == jsontext.KindNull {
		return nil, nil
	}
	var given map[string]string
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, core.Refuse(sdk.ReasonInvalid, "headers: want an object of texts")
	}
	if len(given) > watchHeaders {
		return nil, core.Refuse(sdk.ReasonInvalid, "headers: want at most 16")
	}
	headers := make(map[string]string, len(given))
	for name, value := range given {
		known := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case name == "" || strings.Trim(name, headerLetters) != "" || strings.ContainsFunc(value, unicode.IsControl):
			return nil, core.Refuse(sdk.ReasonInvalid, "headers: "+core.Shown(name)+" and its value are no header")
		case slices.Contains(hopHeaders, known) || strings.HasPrefix(known, "Proxy-") || strings.HasPrefix(known, "X-Forwarded-"):
			return nil, core.Refuse(sdk.ReasonInvalid, "headers: "+known+" is the broker's to send")
		}
		headers[known] = value
	}
	return headers, nil
}

// unwatch ends a watch.
func (w *watches) unwatch(ctx context.Context, c *Call, m *wire.Unwatch) (wire.WatchAck, error) {
	row, err := w.store.DeleteWatch(ctx, c.Env.Mesh, c.Env.Sender.MemberID, m.WatchID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.WatchAck{WatchID: m.WatchID}, nil
	case err != nil:
		return wire.WatchAck{}, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, ofWatch("watch_deleted", row))
	return wire.WatchAck{WatchID: row.ID, URL: row.URL, Mode: row.Mode}, nil
}

// list returns the watches of the member, whichever session made them.
func (w *watches) list(ctx context.Context, c *Call, _ *wire.WatchList) (wire.WatchListResult, error) {
	rows, err := w.store.ListWatches(ctx, c.Env.Mesh, c.Env.Sender.MemberID)
	if err != nil {
		return wire.WatchListResult{}, core.Unavailable(err)
	}
	result := wire.WatchListResult{Watches: make([]wire.WatchRow, len(rows))}
	for i, row := range rows {
		result.Watches[i] = wire.WatchRow{
			ID: row.ID, URL: row.URL, Mode: row.Mode, Label: row.Label, Interval: int64(row.Every / time.Second), NotifyOn: row.NotifyOn,
			LastHash: row.Value, LastValue: row.Value, LastCheck: row.CheckedAt, NextCheck: row.NextAt,
			Failures: int64(row.Failures), LastError: row.Failure, CreatedAt: row.CreatedAt,
		}
	}
	return result, nil
}
