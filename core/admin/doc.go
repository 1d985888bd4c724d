// Package admin is what an operator does to a broker: meshes, members, invites,
// and a look at what runs.
//
// [Ops] has two implementations. [Local], here, works on the store; it serves
// inside a running broker and beside a stopped one. The other is the client of
// the control socket (core/control), which asks the Local of a running broker,
// so that a revocation closes sockets at once. Commands cannot tell them apart.
//
// Errors that an operator can mend are [core.Error]: Message is one line that
// says what to do.
package admin
