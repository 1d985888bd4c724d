package server

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/telemetry"
)

// Counters count what HTTP routes answered, and how long that took. Labels are
// routes and statuses, so their number does not depend on what callers send.
// Methods may be called concurrently.
type Counters struct {
	mu     sync.Mutex
	routes map[string]*routeCounters // by pattern; "" for what no route answers
}

// longestRequest is up to where the times of requests are told apart.
const longestRequest = 16 * time.Second

// routeCounters are those of one route. Guarded by the mutex of Counters, but for
// latency.
type routeCounters struct {
	statuses map[int]int64
	latency  telemetry.Histogram
}

// NewCounters returns counters for the routes of a table.
func NewCounters(routes []*api.Route) *Counters {
	c := &Counters{routes: map[string]*routeCounters{"": {statuses: map[int]int64{}}}}
	for _, r := range routes {
		c.routes[r.Pattern()] = &routeCounters{statuses: map[int]int64{}}
	}
	return c
}

// since notes an answer of a route that a request of some time ago got.
//
// The time of an answer that is written for as long as it lasts is that to its
// beginning: it is noted then, and not again.
func (c *Counters) since(start time.Time, pattern string, w *counted) {
	if w.noted {
		return
	}
	w.noted = true
	c.mu.Lock()
	r := c.routes[pattern]
	r.statuses[w.status]++
	c.mu.Unlock()
	r.latency.Observe(time.Since(start))
}

// Write gives the counters as families of metrics.
func (c *Counters) Write(sink telemetry.Sink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var requests []telemetry.Sample
	var latencies []telemetry.Series
	for _, pattern := range slices.Sorted(maps.Keys(c.routes)) {
		r := c.routes[pattern]
		for status, n := range r.statuses {
			requests = append(requests, telemetry.Sample{Values: []string{pattern, strconv.Itoa(status)}, Value: float64(n)})
		}
		if len(r.statuses) > 0 {
			latencies = append(latencies, r.latency.Series(longestRequest, pattern))
		}
	}
	to := telemetry.To{Sink: sink}
	route := telemetry.Label{Name: "route", Values: "method and path of a route of [http.md](http.md), such as `GET /cli/meshes`; empty for paths that nobody has"}
	to.Counters("broker_http_requests_total", "HTTP requests by route and status; no route for paths that nobody has",
		[]telemetry.Label{route, {Name: "status", Values: "HTTP status of the answer"}}, requests)
	to.Histograms("broker_http_request_seconds", "From an HTTP request's headers to its answer, by route", []telemetry.Label{route}, latencies...)
}

// counted is a ResponseWriter that remembers the status.
type counted struct {
	http.ResponseWriter
	status int
	noted  bool // in the counters
}

func (w *counted) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }
