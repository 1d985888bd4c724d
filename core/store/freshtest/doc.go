// Package freshtest gives tests new, empty stores whose tables are there
// already. To apply all migrations takes most of the time of a small test; here
// it happens once for an engine and process, and each test has a copy of what
// came of it. The test opens the copy as the broker opens any store.
//
// Tests of migrations begin with nothing, and so without this package.
package freshtest
