// Package openapi describes the HTTP surface in OpenAPI 3.0, and checks answers
// against that description. It reads the route table and the types of requests
// and answers, so that a new route is described without a word here.
//
// Tests use it and nothing else: the broker does not carry it. The document,
// docs/openapi.yaml, and the table of routes in docs/http.md are made by
// go test ./core/api/openapi -update.
package openapi
