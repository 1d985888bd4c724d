package config

import (
	"bytes"
	"reflect"
	"strings"
)

// YAML returns the whole configuration in the form of the file, secrets
// masked, with a comment behind each value that says where it was set.
func (l *Loaded) YAML() []byte {
	return l.yaml(func(string) bool { return true })
}

// Changed is [Loaded.YAML] without what is at its default.
func (l *Loaded) Changed() []byte {
	return l.yaml(func(key string) bool {
		for k, p := range l.places {
			if p.value.Source != FromDefault && (k == key || strings.HasPrefix(k, key+"[")) {
				return true
			}
		}
		return false
	})
}

func (l *Loaded) yaml(keep func(string) bool) []byte {
	p := printer{
		keep:   keep,
		told:   func(key string) bool { return l.Origin(key).Source > FromFile },
		behind: func(key string) string { return l.Origin(key).String() },
		above:  func(field) []string { return nil },
	}
	p.section(reflect.ValueOf(l.Config), "", 0)
	return p.Bytes()
}

// printer writes a Config as a file.
type printer struct {
	bytes.Buffer
	keep   func(key string) bool   // whether to write a value
	told   func(key string) bool   // whether something else than the file has set a link's value; nil for never
	behind func(key string) string // comment behind a value; empty for none
	above  func(f field) []string  // comment lines above a value or a section
}

// section writes the fields of a struct and reports whether there were any.
func (p *printer) section(v reflect.Value, key string, indent int) bool {
	wrote := false
	for _, f := range fieldsOf(v.Type()) {
		below, value := join(key, f.name), v.Field(f.index)
		switch {
		case isSection(f.typ):
			inner := printer{keep: p.keep, told: p.told, behind: p.behind, above: p.above}
			if !inner.section(value, below, indent+1) {
				continue
			}
			p.gap(f)
			p.comment(f, indent)
			p.line(indent, f.name+":", "")
			p.Write(inner.Bytes())
		case !p.keep(below):
			continue
		case f.typ == reflect.TypeFor[[]Link]():
			p.gap(f)
			p.comment(f, indent)
			p.links(value.Interface().([]Link), f.name, below, indent)
		default:
			p.comment(f, indent)
			p.line(indent, f.name+": "+text(value), p.behind(below))
		}
		wrote = true
	}
	return wrote
}

// gap sets off a section that has comments.
func (p *printer) gap(f field) {
	if p.Len() > 0 && len(p.above(f)) > 0 {
		p.WriteByte('\n')
	}
}

func (p *printer) comment(f field, indent int) {
	for _, line := range p.above(f) {
		p.line(indent, strings.TrimRight("# "+line, " "), "")
	}
}

func (p *printer) line(indent int, text, behind string) {
	p.WriteString(strings.Repeat("  ", indent))
	p.WriteString(text)
	if behind != "" {
		p.WriteString("  # " + behind)
	}
	p.WriteByte('\n')
}

// links writes of each link what is not the default of one.
func (p *printer) links(links []Link, name, key string, indent int) {
	if len(links) == 0 {
		p.line(indent, name+": []", p.behind(key))
		return
	}
	p.line(indent, name+":", "")
	for i := range links {
		link := reflect.ValueOf(links[i])
		at := index(key, i)
		p.line(indent+1, "- stage: "+text(link.FieldByName("Stage")), p.behind(at))
		p.link(links[i], at, indent+2)
	}
}

// link writes of a link what is not the default of every link: what is usual
// for plugins is worth seeing, and so is what a variable of the environment has
// said, since the file does not show it.
func (p *printer) link(l Link, key string, indent int) {
	v, builtin, usual := reflect.ValueOf(l), reflect.ValueOf(newLink(l.Stage)), reflect.ValueOf(usualLink(l))
	for _, f := range fieldsOf(v.Type()) {
		below, value := join(key, f.name), v.Field(f.index).Interface()
		isUsual := reflect.DeepEqual(value, usual.Field(f.index).Interface())
		told := p.told != nil && p.told(below)
		switch {
		case told:
			p.line(indent, f.name+": "+text(v.Field(f.index)), p.behind(below))
		case isUsual && reflect.DeepEqual(value, builtin.Field(f.index).Interface()):
		case isUsual && !p.keep(below):
		case f.name == "plugin":
			p.line(indent, f.name+":", "")
			p.section(v.Field(f.index).Elem(), below, indent+1)
		default:
			p.line(indent, f.name+": "+text(v.Field(f.index)), p.behind(below))
		}
	}
}

// usualLink returns the defaults of a link like l.
func usualLink(l Link) Link {
	if l.Plugin == nil {
		return newLink(l.Stage)
	}
	usual := newPluginLink(l.Stage, l.Plugin.Role)
	if l.OnFailure != Hold {
		usual.Then = ""
	}
	return usual
}
