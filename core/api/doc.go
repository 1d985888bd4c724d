// Package api is what HTTP callers can ask: one file per group of routes, with
// the requests, the answers and the handlers.
//
// A request becomes an envelope with a kind named "http.…", goes through the
// chain like a frame, and reaches its handler at the end of it. A handler returns
// its answer or an error and never sees the HTTP request; what a route is called,
// who may use it and which status a refusal has stands in its [Route].
//
// Beside the tags of [github.com/claudemesh/broker/core/wire] a field may have
// some that only the documentation reads: needed:"true" where the handler itself
// refuses what lacks the field, form:"number" of raw JSON, and
// words:"capabilities" of texts.
package api
