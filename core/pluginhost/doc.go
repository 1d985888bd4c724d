// Package pluginhost runs stages as programs of their own.
//
// A [Host] starts each program once, however many links use it, and keeps it
// running. A link of the pipeline becomes a [Stage], which the chain cannot
// tell from a built-in one: it is configured in the program's process, asked
// over a [hop.Hop], and configured again in the next process when that one
// ends. A reload carries over the stages that did not change, and the processes
// whose program did not.
//
// Below it are process (one life of one process), supervise (the next life) and
// hop (envelopes there, verdicts back).
package pluginhost
