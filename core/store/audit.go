package store

import (
	"context"
	"iter"

	"github.com/claudemesh/broker/core/audit"
)

// Audit reads the audit log. It is appended to through a Batch only, so that a
// chain can never fork.
type Audit interface {
	// AuditPage returns entries of a mesh that match, newest first, and the
	// number of all that match. It walks the mesh's part of the log: an index
	// for a question that is rarely asked would make every commit dearer.
	AuditPage(ctx context.Context, mesh string, match AuditMatch, limit, offset int) ([]*audit.Entry, int64, error)

	// AuditChain streams a mesh's entries, oldest first, in one consistent
	// read. An error ends it.
	AuditChain(ctx context.Context, mesh string) iter.Seq2[*audit.Entry, error]

	// VerifyAudit checks a mesh's whole chain and its head, in one consistent
	// read and in constant memory. A chain that was never begun is valid.
	VerifyAudit(ctx context.Context, mesh string) (audit.Result, error)

	// AuditHead returns the end of a mesh's chain as it was recorded apart from
	// the entries, in a row of its own. ErrNotFound: nothing was ever appended.
	AuditHead(ctx context.Context, mesh string) (*audit.Head, error)
}

// AuditMatch says which entries are wanted. Empty fields match every entry.
type AuditMatch struct {
	Actor string // member id
	Event string
}
