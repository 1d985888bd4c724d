// Package store says what the broker keeps on disk: one file per noun with its
// row and the interface that reads and writes it.
//
// Two engines implement it, sqlite (embedded, the default) and postgres; the
// suite in storetest holds both to the same behaviour. Times are UTC with
// millisecond precision; ids are text of the broker's own making.
package store

import (
	"context"
	"errors"
)

// ErrNotFound is returned where one row was asked for and there is none.
var ErrNotFound = errors.New("not found")

// ErrConflict is returned where a row cannot be written because another one
// holds its place: an enrolled key, a used invite, a taken session key.
var ErrConflict = errors.New("conflict")

// ErrExhausted is returned when no use is left of an invite, or no room for
// another row of a kind that is counted.
var ErrExhausted = errors.New("no use left")

// ErrText is wrapped by the error of a write that has a NUL byte in a text, or
// bytes that are not UTF-8, where the engine cannot store those (postgres). It
// fails for everybody in the same batch: whoever reads texts from strangers
// refuses them before.
var ErrText = errors.New("a text holds a NUL byte or is not UTF-8")

// ErrClosed is returned for work that came after the store was closed.
var ErrClosed = errors.New("the store is closed")

// Store is the whole database. Whoever uses it declares the narrow interface
// that it needs; only the program that wires the broker holds all of it.
//
// All methods may be called concurrently.
type Store interface {
	Meshes
	Members
	Invites
	Sealing
	SessionKeys
	Accounts
	Tokens
	SignIns
	States
	Values
	Memories
	Contexts
	Tasks
	Streams
	McpServers
	Webhooks
	Watches
	Clocks
	Schedules
	Topics
	Files
	Skills
	Vault
	APIKeys
	Queue
	Audit
	Overview
	Committer

	// Ping checks that the database answers.
	Ping(ctx context.Context) error

	// Close releases the database. No method may be called after it.
	Close() error
}
