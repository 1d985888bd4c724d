package api

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// KindHook is the kind of the status hook's envelope.
const KindHook sdk.Kind = "http.hook"

// HookStatus is the body of POST /hook/set-status.
type HookStatus struct {
	Cwd       string `json:"cwd" required:"true" max:"4096" doc:"working directory of the session"`
	Status    string `json:"status" required:"true" enum:"idle,working,dnd" doc:"what the session does now"`
	Pid       int64  `json:"pid,omitempty" doc:"process id that the session gave in its hello, from 0; 0 is the same as none"`
	SessionID string `json:"session_id,omitempty" max:"256" doc:"sessionId that the session gave in its hello"`
}

// HookDone answers a [HookStatus].
type HookDone struct {
	OK         bool   `json:"ok" doc:"true"`
	PresenceID string `json:"presence_id,omitempty" doc:"the session that was meant; of several the first"`
	Pending    bool   `json:"pending,omitempty" doc:"true when no session fits: one that says hello within 10 seconds, and fits exactly, gets the status"`
}

// HookMembers finds the member behind a session.
type HookMembers interface {
	MemberByID(ctx context.Context, id string) (*store.Member, error)
}

// Hook adds the route by which an agent's tool says when a turn begins and ends.
func Hook(t *Table, d Deps) {
	h := &hooks{
		dir: d.Directory, nodes: d.Nodes, members: d.Members, open: d.Config.HookOpen,
		buckets: newHookBuckets(d.Config.HookRate, time.Now()), log: d.Log,
	}
	route := Route{
		Method: http.MethodPost, Path: "/hook/set-status", Kind: KindHook, Group: "Status hook",
		Summary: "says what a session does now, when a turn of its agent begins or ends", Access: feature.AnyoneKnown,
		Wants:    ByAccount | ByMember | ByPlace,
		Missing:  textHookMissing,
		Refusals: []sdk.Reason{feature.ReasonNoBearer},
	}
	On(t, route, h.set)
	h.count(t.routes[len(t.routes)-1])
}

// count has every call of a route counted, those that cannot be read too.
func (h *hooks) count(r *Route) {
	decode := r.decode
	r.decode = func(body []byte, path, query, header func(string) string) (any, error) {
		h.dir.Counters.Hooks.Add(1)
		return decode(body, path, query, header)
	}
}

const (
	textHookMissing = "cwd and status required"
	textHookBare    = "missing_bearer_token: call the hook with a bearer token or a member's signature, or without either " +
		"from the machine that the broker runs on; http.hook_open lets everybody in"
	textHookLimited = "rate limited"
)

type hooks struct {
	dir     *presence.Directory
	nodes   Nodes
	members HookMembers
	open    bool
	buckets *bucket.Set[hookKey] // nil: no limit
	log     *slog.Logger
}

// set gives a status to the sessions that a hook means.
func (h *hooks) set(ctx context.Context, c *feature.Call, m *HookStatus) (*HookDone, error) {
	if m.Cwd == "" {
		return nil, core.Refuse(sdk.ReasonMalformed, textHookMissing)
	}
	if m.Pid < 0 {
		return nil, core.Refuse(sdk.ReasonInvalid, "pid: want a whole number from 0")
	}
	from, err := h.from(c)
	if err != nil {
		return nil, err
	}
	if err := h.take(from, m, c.Env.Arrived); err != nil {
		return nil, err
	}
	hint := presence.Hint{SessionID: m.SessionID, Pid: m.Pid, Cwd: m.Cwd, Status: presence.Status(m.Status)}
	h.dir.Unremember(from.scope, from.name, hint) // this call is the newer word
	found, err := h.match(ctx, from, hint)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		h.dir.Remember(from.scope, from.name, hint)
		if found, err = h.match(ctx, from, hint); err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return &HookDone{OK: true, Pending: true}, nil
		}
		h.dir.Unremember(from.scope, from.name, hint)
	}
	for _, s := range found {
		h.nodes.SetStatus(s, hint.Status, presence.Hook)
	}
	h.log.DebugContext(ctx, "hook", slog.String("presence", found[0].ID), slog.String("status", m.Status), slog.Int("sessions", len(found)))
	return &HookDone{OK: true, PresenceID: found[0].ID}, nil
}

// hookCaller is who calls the hook.
type hookCaller struct {
	name  string // tells callers apart
	mesh  string // the only one that the caller may speak of; "" is no limit
	scope presence.Scope
}

// from says who calls, and whose sessions the call may concern.
func (h *hooks) from(c *feature.Call) (hookCaller, error) {
	remote := "address " + c.Env.Sender.Remote
	switch {
	case c.HTTP.Account != nil:
		return hookCaller{name: "account " + c.HTTP.Account.ID, scope: presence.Scope{Account: c.HTTP.Account.ID}}, nil
	case c.Member != nil:
		return hookCaller{name: "member " + c.Member.ID, mesh: c.Member.MeshID, scope: presence.Scope{MemberID: c.Member.ID}}, nil
	case h.open:
		return hookCaller{name: remote}, nil
	case c.HTTP.Local:
		return hookCaller{name: remote, scope: presence.Scope{Local: true}}, nil
	default:
		return hookCaller{}, core.Refuse(feature.ReasonNoBearer, textHookBare)
	}
}

// hookBuckets is how many buckets are remembered, about: some 10 MB of them.
const hookBuckets = 1 << 16

// hookKey is whose bucket it is: a hash of the caller, the process and the
// directory, so that long directories take no memory.
type hookKey [sha256.Size]byte

// Hash implements bucket.Key.
func (k hookKey) Hash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, k[:]) }

// Keep implements bucket.Key.
func (k hookKey) Keep() hookKey { return k }

// newHookBuckets returns nil for no limit.
func newHookBuckets(l config.Limit, epoch time.Time) *bucket.Set[hookKey] {
	if l.Off() {
		return nil
	}
	return bucket.New[hookKey](bucket.Size{Count: l.Rate.Count, Per: l.Rate.Per, Burst: l.Rate.Count, Most: hookBuckets}, epoch)
}

// take counts a call, and refuses it when its caller has called too often for
// this process and directory.
func (h *hooks) take(from hookCaller, m *HookStatus, at time.Time) error {
	if h.buckets == nil {
		return nil
	}
	key := sha256.Sum256([]byte(from.name + "\x00" + strconv.FormatInt(m.Pid, 10) + "\x00" + m.Cwd))
	wait, ok := h.buckets.Take(key, at)
	if ok {
		return nil
	}
	h.dir.Counters.HooksLimited.Add(1)
	return &core.Error{Code: sdk.ReasonRateLimit, Message: textHookLimited, RetryAfter: wait}
}
