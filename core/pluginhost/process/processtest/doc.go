// Package processtest is a plugin for the tests of the plugin host. A test
// program that calls [Run] first in its TestMain is that plugin when it is
// started with [ModeEnv] set, and behaves, well or badly, as the mode says.
package processtest
