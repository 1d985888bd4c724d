package console

import (
	"bytes"
	"html/template"
	"strings"
)

// part is a piece of the page with an id, which the script can replace: an
// element with that id, or the rows inside of one.
type part struct {
	ID   string
	HTML string // the element; empty for a list
	Rows []part // of a list; nil for an element
}

// whole returns the part's HTML with that of its rows.
func (p part) whole() template.HTML {
	if p.Rows == nil {
		return template.HTML(p.HTML) //nolint:gosec // made by a template
	}
	var b strings.Builder
	for _, row := range p.Rows {
		b.WriteString(row.HTML)
	}
	return template.HTML(b.String()) //nolint:gosec // made by templates
}

// row is what a list shows one of.
type row interface{ id() string }

// parts renders all parts of a view.
func (p *page) parts(v *view) ([]part, error) {
	r := renderer{page: p}
	r.element("status", v.Status)
	r.element("warnings", v.Warnings)
	r.element("summary", v.Summary)
	r.element("spoken", v.Spoken)
	rows(&r, "links", "link", v.Chain.Cards)
	r.element("chain-more", v.Chain)
	r.element("refusals-note", v.Refusals)
	rows(&r, "refusal-rows", "refusal", v.Refusals.Rows)
	r.element("meshes-note", v.Meshes)
	rows(&r, "mesh-rows", "mesh", v.Meshes.Rows)
	r.element("plugins-note", v.Plugins)
	rows(&r, "plugin-cards", "plugin", v.Plugins.Cards)
	r.element("config", v.Config)
	r.element("nodes-note", v.Nodes)
	rows(&r, "node-rows", "node", v.Nodes.Rows)
	return r.list, r.err
}

// renderer collects parts, until the first error.
type renderer struct {
	page *page
	buf  bytes.Buffer
	list []part
	err  error
}

// element adds an element, whose template has the name of its id.
func (r *renderer) element(id string, data any) {
	r.list = append(r.list, part{ID: id, HTML: r.render(id, data)})
}

// rows adds a list.
func rows[R row](r *renderer, id, name string, data []R) {
	list := make([]part, 0, len(data))
	for _, d := range data {
		list = append(list, part{ID: d.id(), HTML: r.render(name, d)})
	}
	r.list = append(r.list, part{ID: id, Rows: list})
}

func (r *renderer) render(name string, data any) string {
	if r.err != nil {
		return ""
	}
	r.buf.Reset()
	r.err = r.page.templates.ExecuteTemplate(&r.buf, name, data)
	return strings.TrimSpace(r.buf.String())
}
