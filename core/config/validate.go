package config

import (
	"encoding/hex"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// validate finds what no single tag can say. A rule about several keys names
// them all, so that it stays silent when one of them could not be read.
func (l *loader) validate(c *Config) {
	l.addresses(c)
	l.http(c)
	l.watch(c)
	l.sizes(c)
	l.bus(c)
	l.events(c.Audit.Events)
	l.telemetry(c)
	l.console(c)
	l.meshSQL(c)
	l.files(c)
	if c.Presence.DeadAfter < c.Presence.PingEvery*3/2 {
		l.invalid([]string{"presence.dead_after", "presence.ping_every"},
			"is %s, and must be at least one and a half times presence.ping_every (%s), or living peers are cut",
			duration(c.Presence.DeadAfter), duration(c.Presence.PingEvery))
	}
	l.key(c)
	l.pipeline(c)
}

func (l *loader) addresses(c *Config) {
	if !isAddress(c.Listen) {
		l.invalid([]string{"listen"}, "must be host:port, such as 127.0.0.1:7900 or :7900; got %s", show(c.Listen))
	}
	if strings.HasPrefix(c.DataDir, "~") {
		l.invalid([]string{"data_dir"}, "~ is not expanded here; write the whole path")
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" &&
		(err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil) {
		l.invalid([]string{"public_url"}, "must be a WebSocket URL, such as wss://mesh.example.org/ws; got %s", show(c.PublicURL))
	}
	// A store URL holds a password: it is never shown, not even when wrong.
	if u, err := url.Parse(c.Store.URL.Reveal()); c.Store.URL != "" &&
		(err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql") {
		l.invalid([]string{"store.url"}, "must begin with postgres:// or postgresql:// and be a valid URL; "+
			"characters such as @ : / in a password are written as %%40 %%3A %%2F")
	}
}

// isAddress reports whether text is host:port, the host perhaps empty.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// sizes holds what has to fit into what.
func (l *loader) sizes(c *Config) {
	fits := func(inner string, a int, outer string, b int, why string) {
		if a > b {
			l.invalid([]string{inner, outer}, "is %d, and must not be above %s (%d): %s", a, outer, b, why)
		}
	}
	s := &c.Limits
	fits("limits.message_bytes", s.MessageBytes, "limits.frame_bytes", s.FrameBytes, "a message travels in one frame")
	fits("limits.hello_frame_bytes", s.HelloFrameBytes, "limits.frame_bytes", s.FrameBytes, "a hello proves who may send more")
	fits("limits.frame_bytes", s.FrameBytes, "limits.outbox_bytes", s.OutboxBytes, "a frame must fit into the outbox")
	fits("limits.message_bytes", s.MessageBytes, "queue.unconfirmed_bytes", c.Queue.UnconfirmedBytes, "a message must be pushed before it can be confirmed")
}

// bus holds that a bus has somebody to talk to, and a way.
func (l *loader) bus(c *Config) {
	kind := c.Bus.Type
	if (kind == BusPostgres || kind == BusNATS) && c.Store.Engine() != "postgres" {
		l.invalid([]string{"bus.type", "store.url"}, "is %s, and brokers can only share a PostgreSQL store: set store.url (DATABASE_URL), or leave bus.type at auto", kind)
	}
	if kind == BusNATS && len(c.Bus.NATS.URLs) == 0 {
		l.invalid([]string{"bus.nats.urls", "bus.type"}, "must name a server, such as nats://127.0.0.1:4222, when bus.type is nats")
	}
	for i, text := range c.Bus.NATS.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			l.invalid([]string{index("bus.nats.urls", i), "bus.nats.urls"}, "must be a URL such as nats://127.0.0.1:4222 or tls://nats.example.org:4222")
		} else if u.User != nil {
			l.invalid([]string{index("bus.nats.urls", i), "bus.nats.urls"}, "must name no user: bus.nats.user, password and token are for that, and are not printed")
		}
	}
	for part := range strings.SplitSeq(c.Bus.Prefix, ".") {
		if !plainName(part) {
			l.invalid([]string{"bus.prefix"}, "must be words of letters, digits, - and _, with dots between them; got %s", show(c.Bus.Prefix))
			break
		}
	}
	if (c.Bus.NATS.CertFile == "") != (c.Bus.NATS.KeyFile == "") {
		l.invalid([]string{"bus.nats.cert_file", "bus.nats.key_file"}, "and bus.nats.key_file belong together: set both or none")
	}
}

func (l *loader) events(events []string) {
	seen := map[string]bool{}
	for i, e := range events {
		key := index("audit.events", i)
		switch {
		case !plainName(e):
			l.invalid([]string{key, "audit.events"}, "%s is no name of an event", show(e))
		case seen[e]:
			l.invalid([]string{key, "audit.events"}, "%s is listed twice", e)
		case e == AuditAll && len(events) > 1:
			l.invalid([]string{key, "audit.events"}, "all stands alone: it means every event")
		}
		seen[e] = true
	}
}

func (l *loader) key(c *Config) {
	text := c.EncryptionKey.Reveal()
	switch {
	case text == "" && c.Mode == Production && !c.Insecure:
		l.invalid([]string{"encryption_key", "mode", "insecure"},
			"is needed in production: 64 hex digits, such as openssl rand -hex 32 prints, best in BROKER_ENCRYPTION_KEY")
	case text != "" && !isHex256(text):
		l.invalid([]string{"encryption_key"}, "must be 64 hex digits; it has %d characters", len(text))
	case strings.Trim(text, "0") == "" && text != "" && c.Mode == Production && !c.Insecure:
		l.invalid([]string{"encryption_key", "mode"}, "is all zeros, and so protects nothing: openssl rand -hex 32 prints one that does")
	}
}

// isHex256 reports whether text is 32 bytes in hex.
func isHex256(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 32
}

// warn says what is allowed and yet worth a look.
func (l *loader) warn(c *Config) {
	if c.Insecure {
		l.warnings = append(l.warnings, "insecure is true: checks that keep a broker safe are off")
	}
	switch {
	case c.PublicURL != "":
	case c.HTTP.AppURL != "":
		l.warnings = append(l.warnings, "http.app_url is set and public_url is not: links will lead to "+c.HTTP.AppURL+
			", and who follows them gets an invite to ws://"+c.Listen+"/ws, which others may not reach")
	case c.Mode == Production:
		l.warnings = append(l.warnings, "public_url is not set: invites will carry ws://"+c.Listen+"/ws, which others may not reach")
	}
	if text := c.EncryptionKey.Reveal(); text != "" && strings.Trim(text, "0") == "" && (c.Mode != Production || c.Insecure) {
		l.warnings = append(l.warnings, "encryption_key is all zeros, and so protects nothing")
	}
	slices.Sort(l.warnings)
}
