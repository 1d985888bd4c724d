package config

import "github.com/claudemesh/broker/core/nearest"

// failure judges what a link does when its stage fails.
func (l *loader) failure(link *Link) {
	policy, then := link.key+".on_failure", link.key+".then"
	switch {
	case link.OnFailure == Hold && link.Plugin == nil && !l.bad[link.key+".plugin"]:
		l.invalid([]string{policy}, "hold waits for a plugin to come back, and %s is built in; use fail_closed", link.Stage)
	case link.OnFailure != Hold && link.Then != "":
		l.invalid([]string{then, policy}, "has no effect without on_failure: hold")
	}
	l.fallback(link)
}

// fallback judges the stage that steps in.
func (l *loader) fallback(link *Link) {
	key, with := link.key+".fallback", link.key+".fallback_with"
	from := link.key + ".on_failure"
	if link.Then == Fallback {
		from = link.key + ".then"
	}
	needed := link.OnFailure == Fallback || link.Then == Fallback
	switch {
	case needed && link.Fallback == "":
		l.invalid([]string{from, key}, "fallback needs the name of a built-in stage in the key fallback")
	case !needed && link.Fallback != "":
		l.invalid([]string{key, from}, "has no effect without on_failure: fallback")
	case link.FallbackWith != nil && link.Fallback == "":
		l.invalid([]string{with}, "has no effect without fallback")
	}
	if link.Fallback == "" || l.Builtins == nil {
		return
	}
	b := l.builtin(link.Fallback)
	if b == nil {
		l.invalid([]string{key}, "there is no stage %s%s",
			show(link.Fallback), hint(nearest.Of(link.Fallback, l.builtins()), l.known()))
		return
	}
	l.options(link.StandIn(), b)
}

// guards checks that a stage that keeps others out lets nobody in when it
// fails.
func (l *loader) guards(link *Link, c *Config) {
	b := l.builtin(link.Stage)
	if b == nil || !b.Guards {
		return
	}
	policy, then := link.key+".on_failure", link.key+".then"
	if link.OnFailure == Fallback && link.Plugin == nil {
		l.invalid([]string{policy}, "no other stage can stand in for %s; use fail_closed", link.Stage)
		return
	}
	if c.Insecure {
		return
	}
	for _, p := range []struct {
		key    string
		policy OnFailure
	}{{policy, link.OnFailure}, {then, link.Then}} {
		if p.policy == FailOpen {
			l.invalid([]string{p.key, "insecure"}, "%s keeps others out, and fail_open would let them in; "+
				"use fail_closed, or say insecure: true", link.Stage)
		}
	}
	if in := l.builtin(link.Fallback); in != nil && !in.Guards {
		l.invalid([]string{link.key + ".fallback"}, "%s keeps others out, and %s would let them in; "+
			"use fail_closed, or say insecure: true", link.Stage, link.Fallback)
	}
}
