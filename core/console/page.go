package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets/*.html assets/*.css assets/*.js assets/*.svg
var embedded embed.FS

// page has the templates and the files of the page. It never changes.
type page struct {
	templates *template.Template
	files     map[string]*file
	assets    assets
}

// assets are the addresses of files, with a part of their hash, so that a new
// release is not shown with an old style.
type assets map[string]string

// file is one that a browser loads beside the page.
type file struct {
	name, kind, tag string
	content         []byte
}

// mediaTypes are the kinds of files by their ending; nobody asks the machine.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// newPage reads what is embedded. It panics when that is not whole: that is a
// mistake in the code, seen by the first test that runs.
func newPage() *page {
	p := &page{templates: template.New(""), files: map[string]*file{}, assets: assets{}}
	entries, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		content, err := embedded.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		if path.Ext(e.Name()) == ".html" {
			// Lines of a template end between elements: without the ends there is less
			// to send and to compare.
			template.Must(p.templates.Parse(strings.ReplaceAll(string(content), "\n", "")))
			continue
		}
		p.add(e.Name(), content)
	}
	return p
}

func (p *page) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	tag := hex.EncodeToString(sum[:8])
	p.files[name] = &file{name, mediaTypes[path.Ext(name)], `"` + tag + `"`, content}
	p.assets[name] = "assets/" + name + "?v=" + tag
}

// serve answers with a file. It holds nothing of the broker, so it may be kept.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}

// pageView is a whole page.
type pageView struct {
	Asset  assets
	Choice choice
	Host   string
	Part   map[string]template.HTML // by the id of a part or of a list
}

// errorView is a page that says what is wrong.
type errorView struct {
	Status, Text string
}

// write answers with a template, or with a status alone if it fails.
func (p *page) write(w http.ResponseWriter, status int, name string, data any, log *slog.Logger) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		log.Error("console: page not made", slog.String("template", name), slog.Any("err", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		log.Debug("console: page not written", slog.Any("err", err))
	}
}

// showPage answers with the page as it is now; it works without the script.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	f, err := s.collect.fresh(r.Context())
	if err != nil {
		s.unanswered(w, r, err)
		return
	}
	c := choiceOf(r)
	parts, err := f.render(s.page, c)
	if err != nil {
		s.log.Error("console: page not made", slog.Any("err", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	v := pageView{Asset: s.page.assets, Choice: c, Part: map[string]template.HTML{}}
	if f.snapshot != nil {
		v.Host = f.snapshot.Broker.Host
	}
	for _, p := range parts {
		v.Part[p.ID] = p.whole()
	}
	s.page.write(w, http.StatusOK, "page", v, s.log)
}

// showSnapshot answers with what the source said, for programs.
func (s *Server) showSnapshot(w http.ResponseWriter, r *http.Request) {
	f, err := s.collect.fresh(r.Context())
	if err == nil {
		err = f.err
	}
	if err != nil {
		s.unanswered(w, r, err)
		return
	}
	b, err := json.MarshalIndent(f.snapshot, "", "  ")
	if err != nil {
		s.log.Error("console: snapshot not encoded", slog.Any("err", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.wrote(w.Write(append(b, '\n')))
}

// unanswered refuses who asks how the broker is when nobody can tell.
func (s *Server) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", "5")
	s.refuse(w, r, http.StatusServiceUnavailable, "the console cannot read how the broker is: "+err.Error())
}
