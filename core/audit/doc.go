// Package audit holds the mathematics of the audit log: canonical JSON, the
// hash of an entry, the chain of hashes of one mesh, and its verification. It
// keeps nothing and reads no database.
//
// Every mesh has one chain. An entry's hash covers the hash before it, so a row
// that is edited, moved or deleted breaks the chain from there on. Cutting the
// newest rows breaks nothing; that is what the [Head], stored apart from the
// rows, is for. Hashes use no key: whoever can write rows and head can write a
// chain that verifies. The row id and the actor's display name are not hashed.
package audit
