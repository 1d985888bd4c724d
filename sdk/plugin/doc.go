// Package plugin turns stages into a program that the broker starts.
//
//	func main() {
//		plugin.Serve(plugin.Plugin{
//			Name: "office-hours", Version: "1.0.0",
//			Stages: []plugin.Stage{plugin.Define("office-hours", Options{Timezone: "UTC"}, New)},
//		})
//	}
//
// The stage itself is the same Go type that would run inside the broker: it
// has Handle, and, when it wants, the methods of sdk.Matcher, sdk.Selector,
// sdk.Observer, sdk.Starter and sdk.Stopper. New makes one from its options.
//
// What the operator granted, a stage learns as a [Grantee]; the name of its link
// by [Link]. How much time there is for Stop its context says: what is left of
// the link's drain_timeout.
//
// Three things differ from a stage inside the broker. An envelope shows what
// the operator granted and no more: without identity.read its keys are
// pseudonyms, and recipients never have a MemberID; its Trace is that of the
// broker's span around the stage, and empty unless that is sampled. The answers
// Continue, Deny and Drop are all there is. And envelopes arrive one at a time,
// unless the stage says [Parallel].
//
// What the program prints goes to the broker's log by way of its standard
// error, and log/slog is connected when Serve begins. What is printed before
// that, by an init function or a variable's initial value, must go to standard
// error: the first line of standard output belongs to the broker.
package plugin
