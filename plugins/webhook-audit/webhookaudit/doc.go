// Package webhookaudit is an observer that tells an HTTPS endpoint how envelopes
// ended.
//
// Events go in batches, in the order in which they were seen, each batch signed
// as the Standard Webhooks specification says. A batch is written to the spill
// directory before it is posted and leaves it when the endpoint has taken it, so
// an outage or a crash delays events and loses none that were spilled. What the
// bounds make it lose is counted, and the count goes along with a later batch.
//
// The way of an event: Done puts it into the intake; the collector makes batches
// of the intake and puts them into the queue, on disk or in memory; the poster
// takes the oldest batch of the queue, posts it until it is taken or refused,
// and goes on with the next.
package webhookaudit
