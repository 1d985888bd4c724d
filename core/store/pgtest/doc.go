// Package pgtest gives tests a real PostgreSQL, of version 13 or later.
//
// [URL] is a database for one test, on a server that all tests of the process
// share; it is quick and not crash-safe. [Filled] gives such databases with
// something in them. [NewCluster] is a whole server for one
// test, which may stop it as if the machine had died; it keeps what it promised.
//
// Where the server comes from, the first that is there:
//
//  1. TEST_DATABASE_URL, for [URL] only: the URL of a role that may create
//     databases. Each test makes one of its own there and drops it. A test
//     process that is killed leaves its databases (pgtest_…) behind.
//  2. The binaries of an installed server, in PATH or where distributions put
//     them. The cluster is made in the temporary directory, listens on 127.0.0.1
//     only, and trusts everybody on this machine.
//  3. The distribution's package, which is installed when we are root or sudo
//     asks for no password.
//
// Without any of them the test fails and says what to do.
//
// PostgreSQL does not run as root. There it runs as the user postgres, or nobody.
//
// A server ends with the test process, also when that is killed: a shell waits
// for the end of a pipe that only the test process holds open, kills the server
// and removes its directory. No goroutine stays behind, so that packages may
// use goleak as they are.
package pgtest
