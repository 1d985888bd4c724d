package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/nearest"
)

// pipeline judges the links: each for itself, then all together.
func (l *loader) pipeline(c *Config) {
	first := map[string]string{} // name -> key of the first link that bears it
	for i := range c.Pipeline {
		link := &c.Pipeline[i]
		if l.bad[link.key] {
			continue
		}
		l.stage(link)
		l.failure(link)
		l.guards(link, c)
		if link.Plugin != nil {
			l.plugin(link, c)
		}
		if earlier, twice := first[link.Name]; twice && link.Name != "" {
			l.invalid([]string{link.key, link.key + ".name", link.key + ".stage"},
				"there is another link named %s%s; give one of them a name of its own", show(link.Name), l.line(earlier))
			continue
		}
		first[link.Name] = link.key
	}
	l.needed(c)
}

// line returns " in line 7" for a key that stands in the file.
func (l *loader) line(key string) string {
	if n := l.places[key].key.Line; n > 0 {
		return " in line " + strconv.Itoa(n)
	}
	return ""
}

func (l *loader) stage(link *Link) {
	key := link.key + ".stage"
	if link.Stage == "" {
		l.invalid([]string{link.key, key}, "lacks its stage%s", hint("", l.known()))
		return
	}
	if !plainName(link.Stage) {
		l.invalid([]string{key}, "a stage's name has letters, digits, - and _, at most %d; got %s", maxShown, show(link.Stage))
		return
	}
	if !plainName(link.Name) && link.Name != "" {
		l.invalid([]string{link.key + ".name"}, "a name has letters, digits, - and _, at most %d; got %s", maxShown, show(link.Name))
	}
	if link.Plugin != nil || l.bad[link.key+".plugin"] || l.Builtins == nil {
		return
	}
	b := l.builtin(link.Stage)
	if b == nil {
		l.invalid([]string{key}, "there is no stage %s%s; a plugin needs its plugin section",
			show(link.Stage), hint(nearest.Of(link.Stage, l.builtins()), l.known()))
		return
	}
	l.options(*link, b)
}

// options judges the options of a built-in stage.
func (l *loader) options(link Link, b *Builtin) {
	if b.Options == nil {
		return
	}
	if err := DecodeWith(link, b.Options()); err != nil {
		l.take(err, &link)
	}
}

// take adds what DecodeWith found.
func (l *loader) take(err error, link *Link) {
	problems := Problems(nil)
	if !errors.As(err, &problems) {
		l.invalid([]string{link.withAt(), link.key}, "%s", err)
		return
	}
	for _, p := range problems {
		l.add(p.At, p.Key, "%s", p.Text)
	}
}

// known lists the built-in stages, as the end of an error text.
func (l *loader) known() string {
	if len(l.Builtins) == 0 {
		return ""
	}
	return "built in: " + strings.Join(l.builtins(), ", ")
}

func (l *loader) builtins() []string {
	names := make([]string, len(l.Builtins))
	for i := range l.Builtins {
		names[i] = l.Builtins[i].Name
	}
	return names
}

func (l *loader) builtin(name string) *Builtin {
	i := slices.IndexFunc(l.Builtins, func(b Builtin) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Builtins[i]
}

// needed checks that the stages are there without which nothing is safe. A
// shadowed one decides nothing, and so is not there.
func (l *loader) needed(c *Config) {
	for key := range l.bad {
		if strings.HasPrefix(key, "pipeline") {
			return
		}
	}
	var missing []string
	for _, b := range l.Builtins {
		if b.Needed && !slices.ContainsFunc(c.Pipeline, func(link Link) bool {
			return link.Stage == b.Name && link.Enabled && !link.Shadow
		}) {
			missing = append(missing, b.Name)
		}
	}
	if len(missing) > 0 && !c.Insecure {
		l.invalid([]string{"pipeline", "insecure"}, "lacks an enabled link for each of: %s; add it, or say insecure: true",
			strings.Join(missing, ", "))
	}
}
