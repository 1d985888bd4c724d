// Package schedule fires what members have scheduled: it claims the rows that are
// due, has each sent, and writes down what became of it.
//
// There is no timer for a row. Every node looks into the store; a claim keeps two
// of them from firing one row at once, and the id under which an occurrence is
// sent, always the same for one time of one schedule, makes it one message
// whatever crashes in between. So a claim may end while its node is still at it.
package schedule
