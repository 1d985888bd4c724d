package api

import (
	"net/http"
	"reflect"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Route is one operation of the HTTP surface.
type Route struct {
	Method  string   // GET routes answer HEAD too
	Path    string   // as http.ServeMux takes it, such as /cli/mesh/{slug}/invite
	Kind    sdk.Kind // of the envelope
	Summary string   // what it does, in a sentence that begins with a verb
	Group   string   // heading in the documentation

	// Access says who may ask. Legacy routes are those where legacy-auth may
	// vouch for the caller.
	Access feature.Access
	Legacy bool

	// Key is what the holder of an API key must be able to do here; "" for a route
	// that takes no API keys. With one, the mesh is that of the key, or of the
	// member that signs, and accounts name it in the query.
	Key store.KeyCapability

	// Wants says which proofs the handler of a route takes that lets everybody
	// come as far as to it, and refuses who has none of them. None: it takes
	// whoever comes.
	Wants Proofs

	// Body says what the body is; see [BodyForm].
	Body BodyForm

	// BadBody is the error of a body that is no JSON object, and Missing the one
	// of a body that lacks a required field. Empty: a text that says what is
	// wrong.
	BadBody, Missing string

	// Words says that clients look for the reason itself in the error, and not
	// for a sentence, which is then the detail. AllWords says so of a body that
	// cannot be read too, and has one word for all that may be wrong with it.
	Words, AllWords bool

	// Finds says that the answer has a member found, which refusals have too.
	Finds bool

	// Guessable is set where the request carries something that can be guessed:
	// refused attempts of one address are counted and limited.
	Guessable bool

	// Status has the statuses of refusals where they differ from [StatusOf], and
	// Otherwise the one of reasons that StatusOf does not list; 0 is 403.
	Status    map[sdk.Reason]int
	Otherwise int

	// Refusals are the reasons that the handler itself refuses with.
	Refusals []sdk.Reason

	// Also is what the route answers beside the reply with status 200; with that
	// status, in its place.
	Also []Answer

	// Request and Reply are the types of the body and the answer.
	Request, Reply reflect.Type

	decode func(body []byte, value, query, header func(string) string) (any, error)
}

// Proofs are ways in which a caller can prove itself to a handler.
type Proofs uint8

// Proofs of callers.
const (
	ByAccount Proofs = 1 << iota // the bearer token of an account
	ByMember                     // a member's signature
	ByCode                       // a one-time code in the body
	ByPlace                      // calls from the broker's own machine
	ByTicket                     // a ticket in the query, which was given over a socket
)

// BodyForm says what a request carries.
type BodyForm uint8

// Forms of a body.
const (
	BodyObject   BodyForm = iota // a JSON object
	BodyOptional                 // a JSON object or nothing
	BodyNone                     // nothing; what comes is not read
	BodyRaw                      // anything, which the handler finds in the call
)

// Pattern returns the route's pattern for [http.ServeMux].
func (r *Route) Pattern() string { return r.Method + " " + r.Path }

// StatusFor returns the HTTP status of a refusal on this route.
func (r *Route) StatusFor(reason sdk.Reason) int {
	if status, ok := r.Status[reason]; ok {
		return status
	}
	if status := statusOf(reason); status != 0 {
		return status
	}
	if r.Otherwise != 0 {
		return r.Otherwise
	}
	return http.StatusForbidden
}

// StatusOf returns the HTTP status of a refusal. A reason that is not listed, a
// plugin's for example, is 403: who asked has to change something.
func StatusOf(reason sdk.Reason) int {
	if status := statusOf(reason); status != 0 {
		return status
	}
	return http.StatusForbidden
}

func statusOf(reason sdk.Reason) int {
	switch reason {
	case sdk.ReasonMalformed, sdk.ReasonInvalid, sdk.ReasonInvalidArguments, sdk.ReasonUnknownType:
		return http.StatusBadRequest
	case feature.ReasonNoBearer, feature.ReasonBadBearer, sdk.ReasonUnauthorized, sdk.ReasonBadSignature,
		sdk.ReasonReplayed, sdk.ReasonSkew:
		return http.StatusUnauthorized
	case sdk.ReasonNotFound, sdk.ReasonUnknownMesh:
		return http.StatusNotFound
	case ReasonConflict, sdk.ReasonAmbiguous:
		return http.StatusConflict
	case ReasonGone:
		return http.StatusGone
	case ReasonLocked:
		return http.StatusLocked
	case sdk.ReasonTooLarge:
		return http.StatusRequestEntityTooLarge
	case sdk.ReasonRateLimit, sdk.ReasonCapacity:
		return http.StatusTooManyRequests
	case sdk.ReasonUnavailable, sdk.ReasonShuttingDown:
		return http.StatusServiceUnavailable
	case sdk.ReasonStageFailed, sdk.ReasonUnanswered, sdk.ReasonInternal, ReasonEncryptionKey, ReasonOwnerKey:
		return http.StatusInternalServerError
	default:
		return 0
	}
}

// Reasons of refusals over HTTP alone.
const (
	ReasonConflict sdk.Reason = "conflict"
	ReasonGone     sdk.Reason = "gone"
	ReasonLocked   sdk.Reason = "locked"

	// The broker's own key does not open the store's secrets, or a mesh's do not
	// belong together: the operator has to act.
	ReasonEncryptionKey sdk.Reason = "encryption_key"
	ReasonOwnerKey      sdk.Reason = "owner_key"
)
