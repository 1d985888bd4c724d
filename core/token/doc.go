// Package token makes and reads the two kinds of JWT that the HTTP surface
// knows: bearer tokens, which the broker gives out, and sync tokens, which an
// operator's web app gives out.
//
// It only says that a text was made with a key and is good now. A bearer token
// is also looked up by its hash, where it can have been revoked; a sync token is
// taken once, by its id. Both are for the caller. Nothing here does I/O or
// reads a clock, and everything may be called concurrently.
//
// The two kinds cannot be taken for one another. Their keys differ whatever the
// operator configures, because that of bearer tokens is derived and never
// leaves the process; and each wants claims that the other does not have.
package token
