// Package watch looks at URLs for members and tells them when they change.
//
// What is asked of the world outside is somebody else's choice, so [Client] reaches
// public addresses alone, unless the operator allows others, and bounds whatever
// comes back. [Watcher] looks at what is due, on one node of a broker at a time:
// the store has everything that has to outlive a look.
package watch
