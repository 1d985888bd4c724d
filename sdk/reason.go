package sdk

// Reason is the machine word for a refusal: error code on the wire, metric
// label and audit field at once. Values are part of the wire: once released, a
// word keeps its meaning.
type Reason string

// Reasons of the chain and of the built-in stages. docs/errors.md lists them
// with what the sender should do.
const (
	// The chain.
	ReasonUnanswered  Reason = "unanswered"   // no stage answered: the chain lacks a route
	ReasonStageFailed Reason = "stage_failed" // a stage failed and its policy is to refuse
	ReasonUnavailable Reason = "unavailable"  // the store is away; try again
	ReasonRefused     Reason = "refused"      // a plugin refused and gave no reason of its own

	// auth.
	ReasonNoHello          Reason = "no_hello"
	ReasonBadSessionKey    Reason = "bad_session_pubkey"
	ReasonBadParentKey     Reason = "bad_parent_pubkey"
	ReasonAttestation      Reason = "attestation_mismatch"
	ReasonExpired          Reason = "expired"
	ReasonTTLTooLong       Reason = "ttl_too_long"
	ReasonCapacity         Reason = "capacity"
	ReasonSkew             Reason = "timestamp_skew"
	ReasonMalformed        Reason = "malformed"
	ReasonBadSignature     Reason = "bad_signature"
	ReasonUnauthorized     Reason = "unauthorized"
	ReasonRevoked          Reason = "revoked"
	ReasonParentMismatch   Reason = "parent_member_id_mismatch"
	ReasonReplayed         Reason = "replayed"
	ReasonSessionKeyTaken  Reason = "session_key_taken"
	ReasonSecondHello      Reason = "second_hello"
	ReasonForbidden        Reason = "forbidden"
	ReasonBadSessionProof  Reason = "bad_session_proof"
	ReasonHelloTimeout     Reason = "hello_timeout"
	ReasonShuttingDown     Reason = "shutting_down"
	ReasonTooManyInvalid   Reason = "too_many_invalid"
	ReasonUnknownMesh      Reason = "unknown_mesh"
	ReasonInvalidArguments Reason = "invalid_argument"

	// grants.
	ReasonBlocked Reason = "blocked"

	// rate-limit.
	ReasonRateLimit Reason = "rate_limit"

	// route and the features behind it.
	ReasonTooLarge      Reason = "too_large"
	ReasonNoRecipient   Reason = "no_recipient"
	ReasonInvalid       Reason = "invalid"
	ReasonUnknownType   Reason = "unknown_type"
	ReasonNotFound      Reason = "not_found"
	ReasonAmbiguous     Reason = "ambiguous_prefix"
	ReasonIDReused      Reason = "idempotency_key_reused"
	ReasonRecipientAway Reason = "recipient_away" // only with `offline: refuse`
	ReasonInternal      Reason = "internal"
)
