package config

import (
	"net"
	"strings"
)

// Console is the operator's page, on an address of its own.
type Console struct {
	Listen   string `koanf:"listen" doc:"address of the operator's page, as host:port, such as 127.0.0.1:7901. Empty: there is none. It shows who is here and what was refused, and never a message"`
	Token    Secret `koanf:"token" doc:"what a browser has to show, at least 16 characters. Better set in the environment than in a file. Empty: one is made at the first start, and broker console prints it"`
	Anywhere bool   `koanf:"anywhere" doc:"let listen be an address that other machines reach. The page has no TLS of its own: put a reverse proxy before it"`
}

// minConsoleToken is the fewest characters of a token that is not guessed.
const minConsoleToken = 16

func (l *loader) console(c *Config) {
	if c.Console.Listen == "" {
		return
	}
	host, _, err := net.SplitHostPort(c.Console.Listen)
	switch {
	case err != nil || !isAddress(c.Console.Listen):
		l.invalid([]string{"console.listen"}, "must be host:port, such as 127.0.0.1:7901; got %s", show(c.Console.Listen))
	case !c.Console.Anywhere && !isLoopback(host):
		l.invalid([]string{"console.listen", "console.anywhere"},
			"is reached by other machines, and the page has no TLS: use 127.0.0.1:7901, or set console.anywhere with a reverse proxy before it")
	}
	token := c.Console.Token.Reveal()
	if n := len(token); token != strings.TrimSpace(token) {
		l.invalid([]string{"console.token"}, "must not begin or end with a blank or a line break: browsers and programs leave them out, so it would never be accepted")
	} else if n > 0 && n < minConsoleToken {
		l.invalid([]string{"console.token"}, "must have at least %d characters, such as openssl rand -hex 16 prints", minConsoleToken)
	}
}

// isLoopback reports whether only this machine reaches a host.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
