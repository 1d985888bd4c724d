package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AuditQuery asks for a page of the mesh's audit log: of all of it for the owner
// and admins, of what they did themselves for others. Its answer is an
// [AuditResult]. Error: audit_query_error.
type AuditQuery struct {
	Limit     *int64 `json:"limit,omitzero" doc:"most entries to return, taken as 1 to 500; 50 when absent"`
	Offset    int64  `json:"offset,omitzero" doc:"entries to pass over, from the newest"`
	EventType string `json:"eventType,omitempty" max:"128" doc:"only events of this type"`
}

// FrameType returns audit_query.
func (AuditQuery) FrameType() string { return "audit_query" }

// AuditResult answers an [AuditQuery].
type AuditResult struct {
	Entries []AuditEntry `json:"entries" doc:"newest first"`
	Total   int64        `json:"total" doc:"entries that match, on all pages"`
}

// FrameType returns audit_result.
func (AuditResult) FrameType() string { return "audit_result" }

// AuditEntry is one link of the chain.
type AuditEntry struct {
	ID        int64          `json:"id" doc:"rises along the chain"`
	EventType string         `json:"eventType" doc:"what happened"`
	Actor     string         `json:"actor" doc:"display name, else member id, else system"`
	Payload   jsontext.Value `json:"payload" doc:"an object with what the event says"`
	Hash      string         `json:"hash" doc:"SHA-256 over the entry and its predecessor's hash, 64 hex digits"`
	CreatedAt time.Time      `json:"createdAt" doc:"when it happened"`
}

// AuditVerify asks whether the mesh's chain is unbroken. Any member may. Its
// answer is an [AuditVerifyResult]. Error: audit_verify_error.
type AuditVerify struct{}

// FrameType returns audit_verify.
func (AuditVerify) FrameType() string { return "audit_verify" }

// AuditVerifyResult answers an [AuditVerify].
type AuditVerifyResult struct {
	Valid    bool   `json:"valid" doc:"every entry fits its predecessor"`
	Entries  int64  `json:"entries" doc:"entries of the mesh"`
	BrokenAt *int64 `json:"brokenAt,omitzero" doc:"id of the first entry that does not fit"`
}

// FrameType returns audit_verify_result.
func (AuditVerifyResult) FrameType() string { return "audit_verify_result" }
