package config

import (
	"regexp"
	"slices"
	"strings"
)

// plugin judges the section of a link that runs a plugin.
func (l *loader) plugin(link *Link, c *Config) {
	key := link.key + ".plugin"
	p := link.Plugin
	switch {
	case p.Path == "":
		l.invalid([]string{key, key + ".path"}, "lacks the path of the plugin's program")
	case strings.HasPrefix(p.Path, "~"):
		l.invalid([]string{key + ".path"}, "~ is not expanded here; write the whole path")
	}
	switch {
	case p.SHA256 != "" && !isHex256(p.SHA256):
		l.invalid([]string{key + ".sha256"}, "must be 64 hex digits; got %s", show(p.SHA256))
	case p.SHA256 == "" && link.Enabled && c.Mode == Production && !c.Insecure:
		l.invalid([]string{key, key + ".sha256", "mode", "insecure"},
			"lacks sha256, which production needs; broker plugin pin writes it")
	}
	if p.Stage != "" && !plainName(p.Stage) {
		l.invalid([]string{key + ".stage"}, "a stage's name has letters, digits, - and _, at most %d; got %s", maxShown, show(p.Stage))
	}
	for i, name := range p.Env {
		if !plainName(name) || strings.Contains(name, "-") {
			l.invalid([]string{index(key+".env", i), key + ".env"}, "must be the name of a variable, without its value")
		}
	}
	l.kinds(key, p)
	if p.Restart.First > p.Restart.Most {
		l.invalid([]string{key + ".restart.most", key + ".restart.first"}, "must not be below restart.first, which is %s", duration(p.Restart.First))
	}
	if link.Shadow && p.Role != Gate {
		l.invalid([]string{link.key + ".shadow"}, "is for stages that judge, and an %s decides nothing; take it out", p.Role)
	}
	if p.Role == Owner && link.OnFailure != FailClosed {
		l.invalid([]string{link.key + ".on_failure", link.key}, "of an owner is fail_closed: what it cannot answer is refused as unavailable")
	}
}

// kinds judges the types of request that a plugin answers.
func (l *loader) kinds(key string, p *Plugin) {
	switch {
	case p.Role == Owner && len(p.Kinds) == 0:
		l.invalid([]string{key + ".kinds", key + ".role"}, "lists no kinds, so the plugin would answer nothing; broker plugin validate says which ones it owns")
	case p.Role != Owner && len(p.Kinds) > 0:
		l.invalid([]string{key + ".kinds"}, "is for role: owner, and this one is %s", p.Role)
	}
	for i, kind := range p.Kinds {
		switch {
		case !kindName.MatchString(kind):
			l.invalid([]string{index(key+".kinds", i), key + ".kinds"}, "a kind has a to z, 0 to 9 and _, at most 64; got %s", show(kind))
		case slices.Contains(p.Kinds[:i], kind):
			l.invalid([]string{index(key+".kinds", i), key + ".kinds"}, "%s is there twice", show(kind))
		}
	}
}

var kindName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
