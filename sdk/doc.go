// Package sdk is what a stage author needs: the envelope, the interface of a
// stage, and the words for a refusal.
//
// A broker runs every envelope through a chain of stages that the operator
// lists in a config file. A stage looks at the envelope and returns a
// [Decision]; the first decision other than [Continue] ends the walk. The
// broker cannot tell a stage that is built in from one that runs as a plugin
// in its own process: both implement [Stage].
//
// sdk imports the standard library only, and it is the only package of this
// module with a compatibility promise.
package sdk
