// Package process is one life of a plugin's process: from the check of the
// program to the reaping of what it left behind.
//
// go-plugin does the launch's protocol: the cookie, the handshake line, the
// certificates, the call that ends a plugin. Everything that touches the
// operating system is done here, through go-plugin's runner, because what it
// does by itself leaks, blocks or trusts too much; docs/adr/0011 has the list.
//
// A life is used once. Who wants the plugin again starts another; package
// supervise does.
package process
