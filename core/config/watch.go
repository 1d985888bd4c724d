package config

import "net/netip"

// Watch is about the URLs that the broker looks at for members.
type Watch struct {
	Enabled bool     `koanf:"enabled" doc:"let members with the permission canManageWatches have the broker look at URLs. Without it none is looked at, and those that there are stay"`
	Allow   []string `koanf:"allow" doc:"addresses and networks, such as 10.1.0.0/16, that the broker may look at although they are not public, and on any port. Empty: public addresses alone, on ports 80 and 443"`
}

// Networks returns the networks of Allow. What is no network, which [Load] does not
// let through, is left out.
func (w Watch) Networks() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range w.Allow {
		if network, ok := parseNetwork(text); ok {
			networks = append(networks, network)
		}
	}
	return networks
}

// watch holds what no tag can say about the section.
func (l *loader) watch(c *Config) {
	for i, text := range c.Watch.Allow {
		if _, ok := parseNetwork(text); !ok {
			l.invalid([]string{index("watch.allow", i), "watch.allow"}, "must be an address or a network, such as 10.1.0.0/16; got %s", show(text))
		}
	}
}
