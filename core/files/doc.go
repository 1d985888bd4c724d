// Package files takes in and gives out the bytes of files that members share, and
// deletes them when their time has come.
//
// A file is a row in the database and pieces in a store for objects. The row is there
// before the first piece, and until the last one is gone: whatever dies meanwhile, no
// bytes are forgotten and no row is without its bytes. Who may have a file is not
// decided here.
package files
