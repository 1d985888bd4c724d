// Package console is the operator's page: how the broker runs now, in a browser,
// on an address of its own.
//
// It asks its [Source] once a second while somebody watches, shows the answer as
// HTML, and sends those who watch what changed. It changes nothing in the broker:
// the one thing that it starts is the verification of an audit log.
//
// The way of an answer: collector (asks, remembers a minute of samples) → frame
// (one snapshot with its rates) → view (what the page says) → parts (HTML by id)
// → live (what a watcher has not been sent yet) → assets/console.js (puts it in
// place).
package console
