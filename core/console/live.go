package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Ends of a stream that the page's script knows, besides a broken connection.
const (
	byeStopping = "stopping" // the broker stops
	byeVisit    = "signin"   // the visit is over
)

// watch sends what changes, as server-sent events, until somebody ends it.
//
//	event: at     data: 1760000000000            the server's clock, each second
//	event: parts  data: [{"id":…,"html":…},…]    parts that are new or changed
//	event: bye    data: stopping|signin          the last event
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		w.Header().Set("Retry-After", "30")
		s.refuse(w, r, http.StatusServiceUnavailable,
			"updates go to "+strconv.Itoa(maxWatchers)+" pages already: close one, and reload this one")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the events
	if r.Method == http.MethodHead {
		return
	}
	st := &stream{
		w: w, control: http.NewResponseController(w), page: s.page,
		choice: choiceOf(r), seed: maphash.MakeSeed(), sent: map[string]uint64{},
	}
	if err := s.follow(r, st); err != nil {
		s.log.Debug("console: a watcher is gone", slog.Any("err", err))
	}
}

// follow sends frames until the watcher goes, its visit ends, or the server
// stops.
func (s *Server) follow(r *http.Request, st *stream) error {
	defer s.collect.watch()()
	left := time.NewTimer(visitFor)
	defer left.Stop()
	var ended chan struct{}
	if v := visitOf(r.Context()); v != nil {
		left.Reset(time.Until(v.until))
		ended = v.ended
	}
	// What was asked last may be hours old: nobody asks while nobody watches.
	if _, err := s.collect.fresh(r.Context()); err != nil && !errors.Is(err, errStopping) {
		return err
	}
	for {
		f, changed := s.collect.current()
		if f != nil {
			if err := st.send(f); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return nil
		case <-s.stopped:
			return st.event("bye", byeStopping)
		case <-ended:
			return st.event("bye", byeVisit)
		case <-left.C:
			return st.event("bye", byeVisit)
		}
	}
}

// stream is one watcher. It belongs to one goroutine.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	page    *page
	choice  choice
	seed    maphash.Seed
	sent    map[string]uint64 // a hash of each part that the watcher has
	buf     bytes.Buffer
}

// change is a part as the script gets it: its HTML, or, for a list of rows, the
// ids of those in it.
type change struct {
	ID   string    `json:"id"`
	HTML string    `json:"html,omitempty"`
	Rows *[]string `json:"rows,omitempty"`
}

// send sends the parts that the watcher does not have like this.
func (st *stream) send(f *frame) error {
	parts, err := f.render(st.page, st.choice)
	if err != nil {
		return err
	}
	if list := st.news(parts); len(list) > 0 {
		data, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if err := st.event("parts", string(data)); err != nil {
			return err
		}
	}
	return st.event("at", strconv.FormatInt(f.asked.UnixMilli(), 10))
}

// news returns what changed since the last call. Rows come before the list that
// they are in, and those that are gone are forgotten.
func (st *stream) news(parts []part) (list []change) {
	there := make(map[string]uint64, len(st.sent))
	add := func(c change, content string) {
		sum := maphash.String(st.seed, content)
		there[c.ID] = sum
		if before, ok := st.sent[c.ID]; !ok || before != sum {
			list = append(list, c)
		}
	}
	for _, p := range parts {
		if p.Rows == nil {
			add(change{ID: p.ID, HTML: p.HTML}, p.HTML)
			continue
		}
		ids := make([]string, 0, len(p.Rows))
		for _, row := range p.Rows {
			add(change{ID: row.ID, HTML: row.HTML}, row.HTML)
			ids = append(ids, row.ID)
		}
		add(change{ID: p.ID, Rows: &ids}, joined(ids))
	}
	st.sent = there
	return list
}

func joined(ids []string) string {
	var b []byte
	for _, id := range ids {
		b = append(append(b, id...), 0)
	}
	return string(b)
}

// event writes one event, whose data has no line break, and sends it on its way.
func (st *stream) event(name, data string) error {
	if err := st.control.SetWriteDeadline(time.Now().Add(pushTimeout)); err != nil {
		return err
	}
	st.buf.Reset()
	st.buf.Write(slices.Concat([]byte("event: "), []byte(name), []byte("\ndata: ")))
	st.buf.WriteString(data)
	st.buf.WriteString("\n\n")
	if _, err := st.w.Write(st.buf.Bytes()); err != nil {
		return err
	}
	return st.control.Flush()
}
