package api

import (
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// What became of a request to a webhook.
const (
	hookSent      = "sent"
	hookNobody    = "nobody"    // its target is nobody now
	hookUnproved  = "unproved"  // no such webhook, or the signature or its time is wrong
	hookLimited   = "limited"   // it is called too often
	hookMalformed = "malformed" // the body is nothing that can be sent
	hookRefused   = "refused"   // as a message of its member
	hookFailed    = "failed"    // by the broker
)

// NewWebhookTally returns what counts requests to webhooks by what became of them.
func NewWebhookTally() *telemetry.Tally {
	return telemetry.NewTally(hookSent, hookNobody, hookUnproved, hookLimited, hookMalformed, hookFailed, hookRefused)
}

// hookOutcome returns what became of a request, by its answer or why it has none.
func hookOutcome(answer *WebhookTaken, err error) string {
	refused, ok := errors.AsType[*core.Error](err)
	switch {
	case err == nil && answer.Delivered == 0:
		return hookNobody
	case err == nil:
		return hookSent
	case !ok:
		return hookFailed
	}
	switch refused.Code {
	case sdk.ReasonUnauthorized, sdk.ReasonSkew, sdk.ReasonBadSignature:
		return hookUnproved
	case sdk.ReasonRateLimit:
		return hookLimited
	case sdk.ReasonMalformed, sdk.ReasonInvalid:
		return hookMalformed
	case sdk.ReasonUnavailable, sdk.ReasonShuttingDown, sdk.ReasonInternal, sdk.ReasonStageFailed, ReasonEncryptionKey:
		return hookFailed
	default:
		return hookRefused
	}
}
