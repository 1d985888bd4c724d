package feature

import (
	"cmp"
	"context"
	"sync"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Reasons of requests about the audit log.
const (
	ReasonAuditQuery  sdk.Reason = "audit_query_error"
	ReasonAuditVerify sdk.Reason = "audit_verify_error"
)

// Limits of audit requests.
const (
	auditPage    = 50  // entries of a page when the request does not say
	auditPageMax = 500 // most entries of a page

	// verifiesAtOnce bounds how many chains are read at a time, over all
	// meshes: each read takes a connection of the store for as long as it
	// lasts, and the embedded store has four by default.
	verifiesAtOnce = 2
)

// AuditStore reads the audit log.
type AuditStore interface {
	// AuditPage returns entries that match, newest first, and the number of all
	// that match.
	AuditPage(ctx context.Context, mesh string, match store.AuditMatch, limit, offset int) ([]*audit.Entry, int64, error)

	// VerifyAudit checks a mesh's chain and its head in one consistent read: an
	// entry that is appended meanwhile is in neither, and is no false alarm.
	VerifyAudit(ctx context.Context, mesh string) (audit.Result, error)
}

// Audit shows members the audit log of their mesh, and checks it for them.
func Audit(r *Registry, st AuditStore, who Roster) {
	a := &audits{store: st, roster: who, slots: make(chan struct{}, verifiesAtOnce), busy: map[string]bool{}}
	On(r, a.query)
	On(r, a.verify)
}

type audits struct {
	store  AuditStore
	roster Roster
	slots  chan struct{} // one for each running verification

	mu   sync.Mutex
	busy map[string]bool // meshes that are being verified
}

// query answers with a page. Who writes to whom and when is not everybody's
// business: members that are no admins see what they did themselves.
func (a *audits) query(ctx context.Context, c *Call, m *wire.AuditQuery) (wire.AuditResult, error) {
	by, err := whoAsks(ctx, a.roster, c)
	if err != nil {
		return wire.AuditResult{}, err
	}
	actor := by.ID
	if by.admin() {
		actor = ""
	}
	limit := int64(auditPage)
	if m.Limit != nil {
		limit = min(max(*m.Limit, 1), auditPageMax)
	}
	page, total, err := a.store.AuditPage(ctx, c.Env.Mesh, store.AuditMatch{Actor: actor, Event: m.EventType}, int(limit), int(max(m.Offset, 0)))
	if err != nil {
		return wire.AuditResult{}, &core.Error{
			Code: ReasonAuditQuery, Message: "the audit log cannot be read: try again in a moment", Err: err,
		}
	}
	result := wire.AuditResult{Entries: make([]wire.AuditEntry, len(page)), Total: total}
	for i, e := range page {
		result.Entries[i] = wire.AuditEntry{
			ID: e.ID, EventType: e.EventType, Actor: cmp.Or(e.ActorName, e.ActorMemberID, "system"),
			Payload: e.Payload, Hash: e.Hash, CreatedAt: e.CreatedAt,
		}
	}
	return result, nil
}

// verify checks the whole chain of the asker's mesh. Any member may ask: the
// verdict tells nothing about anybody, and the more look, the better.
func (a *audits) verify(ctx context.Context, c *Call, _ *wire.AuditVerify) (wire.AuditVerifyResult, error) {
	if !a.begin(c.Env.Mesh) {
		return wire.AuditVerifyResult{}, core.Refuse(ReasonAuditVerify,
			"this audit log is being verified for somebody else: try again in a moment")
	}
	defer a.end(c.Env.Mesh)
	result, err := a.inTurn(ctx, c.Env.Mesh)
	if err != nil {
		return wire.AuditVerifyResult{}, &core.Error{
			Code: ReasonAuditVerify, Message: "the audit log cannot be read: try again in a moment", Err: err,
		}
	}
	answer := wire.AuditVerifyResult{Valid: result.Valid, Entries: result.Entries}
	if !result.Valid {
		answer.BrokenAt = &result.BrokenAt
	}
	return answer, nil
}

// begin claims a mesh's log. It reports false when somebody has it.
func (a *audits) begin(mesh string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[mesh] {
		return false
	}
	a.busy[mesh] = true
	return true
}

func (a *audits) end(mesh string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, mesh)
}

// inTurn verifies a log when one of the slots is free.
func (a *audits) inTurn(ctx context.Context, mesh string) (audit.Result, error) {
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return audit.Result{}, ctx.Err()
	}
	defer func() { <-a.slots }()
	return a.store.VerifyAudit(ctx, mesh)
}
