// Package identity holds the mathematics of who is who: signatures over the
// canonical strings of hello, attestation, invite, claim and HTTP request, sealed
// boxes, the at-rest cipher, keys, ids and codes.
//
// Every function is pure apart from its random numbers and needs no store, no
// socket and no clock: the caller gives the time. A good signature says only
// that the holder of a secret key wrote the text; whether that key is a member
// of a mesh, and still welcome there, is for the caller to look up.
//
// The canonical strings join their fields with "|" and escape nothing. They are
// unambiguous because ids, keys, roles and numbers hold no "|"; where free text
// takes part, in invites, this package refuses it there.
package identity
