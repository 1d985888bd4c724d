// Package control is how commands reach a running broker: JSON over HTTP on a
// unix socket in its data directory.
//
// Whoever can open the socket is the operator. Its mode is 0600, and it is made
// inside a directory that only its owner can enter, so it is never open to
// others, not for a moment.
//
// A broker holds the data directory's lock exclusively. A command that finds no
// broker works on the store itself, and shares the lock for each change it
// makes. So no broker starts in the middle of a change, and no change goes
// behind a broker's back: see [Open].
package control
