// Package issue makes what is signed or sealed with a mesh's secrets: the mesh
// itself, its invites, and its root key for whoever claims one.
//
// Operators' commands and HTTP handlers both come here, so that a mesh and an
// invite are made in one way only. Who may ask is the caller's business.
//
// What the asker can mend is a [core.Error] with one of these codes:
//
//	invalid_argument  a name, slug, key, role or number that makes no sense
//	conflict          no free slug, or no free token, was found
//	malformed         a key to which nothing can be sealed
//	no_key            the mesh came without an owner key or a root key
//	unavailable       the store did not answer
//
// Two more are for the operator alone, and their messages name the config:
// encryption_key (none, or not the store's) and owner_key (a row was changed).
package issue
