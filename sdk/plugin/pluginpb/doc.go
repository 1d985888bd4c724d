// Package pluginpb is the boundary between the broker and a plugin: the
// messages of plugin.proto, what both sides of a launch agree on, and the codec.
// Authors of plugins use package plugin instead.
package pluginpb
