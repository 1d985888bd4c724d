package app_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
)

// documented holds every answer that a test gets over HTTP to the OpenAPI
// document: one that is not described is an error of the request.
type documented struct{ http.RoundTripper }

// checker is that of a broker with the default config.
var checker = sync.OnceValues(func() (*openapi.Checker, error) {
	return openapi.NewChecker(api.All(feature.All(feature.Deps{}), api.Deps{Config: config.Default().HTTP}).Routes())
})

// RoundTrip makes a request and checks its answer.
func (d documented) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := checker()
	if err != nil {
		return nil, err
	}
	res, err := d.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	a := openapi.Answer{Method: req.Method, URL: req.URL, Status: res.StatusCode, Header: res.Header, Body: body}
	if err := c.Check(a); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
