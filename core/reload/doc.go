// Package reload decides when a serving broker reads its config again, and
// remembers how that went.
//
// Loads are asked for by a command, by a signal, or because the content of a
// file has changed. They are done one after the other, and each is all or
// nothing: a config that is wrong, or a chain that does not start, leaves the
// old chain where it is.
package reload
