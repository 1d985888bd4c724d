// Package supervise keeps one plugin alive: it starts a life after each that
// ended, waits longer between lives that end soon, and gives up on a plugin
// that does nothing but end, until an operator says otherwise.
//
// It knows nothing of what a plugin does. Who calls the plugin says what to do
// when a life comes up and when it is gone, and kills a life that hangs.
package supervise
