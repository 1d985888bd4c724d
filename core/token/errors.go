package token

import "errors"

// Why a token is not taken. The texts up to ErrMeshes are those of the original
// broker, for which clients may look; an error can go on behind them with a
// colon and a detail. None repeats a token, a claim or a key, except for the
// name of an algorithm, of at most 32 bytes.
var (
	ErrMalformed = errors.New("malformed JWT")              // not three parts of strict base64url and JSON, too long, or a claim of the wrong type
	ErrAlgorithm = errors.New("unsupported algorithm")      // not HS256
	ErrSignature = errors.New("invalid signature")          // made with another key, or changed
	ErrExpired   = errors.New("token expired")              // the end is now or before
	ErrFuture    = errors.New("token issued in the future") // further than clocks differ
	ErrID        = errors.New("missing jti")
	ErrAccount   = errors.New("missing sub or email")
	ErrMeshes    = errors.New("missing meshes array")
	ErrKind      = errors.New("not a bearer token") // the type is none of ours
)

// Why a secret is not taken.
var (
	ErrNoSecret    = errors.New("CLI_SYNC_SECRET not configured on broker")
	ErrShortSecret = errors.New("CLI_SYNC_SECRET is shorter than 32 bytes")
)
