// Package migrations holds the SQL that makes the broker's tables, one folder
// per engine.
//
// A file that was released is never edited: stores remember the SHA-256 of
// each file they applied, and refuse to open when it changed. A change is a new
// file with the next number.
package migrations

import "embed"

// SQLite holds sqlite/0001_init.sql and its successors, in goose's format.
//
//go:embed sqlite/*.sql
var SQLite embed.FS

// Postgres holds postgres/0001_init.sql and its successors, in goose's format.
//
//go:embed postgres/*.sql
var Postgres embed.FS
