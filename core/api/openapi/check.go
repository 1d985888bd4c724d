package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/sdk"
)

// Checker holds answers to the document. Its methods may be called concurrently.
type Checker struct {
	mux        *http.ServeMux
	operations map[string]*openapi3.Operation // by pattern
	refusal    *openapi3.Schema
}

// Answer is an answer to check.
type Answer struct {
	Method string
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte
}

// NewChecker returns a checker for the document of routes. It takes no field that
// is not documented, although clients of the document have to.
func NewChecker(routes []*api.Route) (*Checker, error) {
	doc, err := Document(routes)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		if len(s.Value.Properties) > 0 {
			s.Value.AdditionalProperties.Has = new(bool)
		}
	}
	c := &Checker{
		mux: http.NewServeMux(), operations: map[string]*openapi3.Operation{},
		refusal: doc.Components.Schemas[errorSchema].Value,
	}
	for at, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			pattern := method + " " + at
			c.operations[pattern] = o
			c.mux.Handle(pattern, http.NotFoundHandler())
		}
	}
	return c, nil
}

// Check returns what the document does not say of an answer, nil when it says all
// of it.
func (c *Checker) Check(a Answer) error {
	if err := c.check(a); err != nil {
		return fmt.Errorf("%s %s: %d %.300q is not in docs/openapi.yaml: %w", a.Method, a.URL.RequestURI(), a.Status, a.Body, err)
	}
	return nil
}

func (c *Checker) check(a Answer) error {
	if a.Header.Get(headerRequest) == "" {
		return errors.New("it has no " + headerRequest)
	}
	o, known := c.operation(a)
	switch {
	case a.Method == http.MethodOptions && a.Header.Get("Access-Control-Allow-Methods") != "" && a.Status == http.StatusNoContent && len(a.Body) == 0:
		return nil // a browser's question, which is answered before the path is looked at
	case o != nil:
		return c.documented(o, a)
	case a.Status == http.StatusTooManyRequests:
		return c.refused(a, []string{string(sdk.ReasonRateLimit)})
	case !known && a.Status == http.StatusNotFound:
		return c.refused(a, []string{string(sdk.ReasonNotFound)})
	case known && a.Method == http.MethodOptions && a.Status == http.StatusNoContent && len(a.Body) == 0:
		return nil
	case known && a.Status == http.StatusMethodNotAllowed && a.Header.Get("Allow") != "":
		return c.refused(a, []string{"method_not_allowed"})
	case known:
		return errors.New("the path has no such method")
	default:
		return errors.New("there is no such path")
	}
}

// operation finds what answers a method and a path; known says that the path has
// some method.
func (c *Checker) operation(a Answer) (o *openapi3.Operation, known bool) {
	u := a.URL
	switch at := u.EscapedPath(); {
	case at == "/ws/":
		u = &url.URL{Path: "/ws"}
	case at != path.Clean(at):
		return nil, false
	}
	find := func(method string) *openapi3.Operation {
		_, pattern := c.mux.Handler(&http.Request{Method: method, URL: u})
		return c.operations[pattern]
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		if found := find(method); found != nil {
			known = true
		}
	}
	if a.Method == http.MethodHead {
		return find(http.MethodGet), known
	}
	return find(a.Method), known
}

// documented checks the answer of an operation.
func (c *Checker) documented(o *openapi3.Operation, a Answer) error {
	described := o.Responses.Value(strconv.Itoa(a.Status))
	if described == nil {
		return errors.New("the operation has no such status")
	}
	res := described.Value
	media, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	content := res.Content[media]
	if content == nil {
		content = res.Content["*/*"]
	}
	switch codes, refusal := res.Extensions[extensionCodes].([]string); {
	case a.Method == http.MethodHead && len(a.Body) > 0:
		return errors.New("HEAD has no body")
	case len(res.Content) == 0 && len(a.Body) > 0:
		return errors.New("this status has no body")
	case len(res.Content) == 0 || a.Method == http.MethodHead:
		return nil
	case content == nil:
		return fmt.Errorf("the operation has no content of the type %q", media)
	case refusal && media != htmlForm:
		return c.refused(a, codes)
	case media == jsonType:
		return visit(content.Schema.Value, a.Body)
	default:
		return nil
	}
}

const jsonType = "application/json"

// refused checks a refusal with one of some codes.
func (c *Checker) refused(a Answer, codes []string) error {
	if a.Method == http.MethodHead {
		return nil
	}
	if got := a.Header.Get("Content-Type"); got != jsonType {
		return fmt.Errorf("a refusal is JSON, and not %q", got)
	}
	if err := visit(c.refusal, a.Body); err != nil {
		return err
	}
	var refusal struct {
		Error     string `json:"error"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(a.Body, &refusal); err != nil {
		return err
	}
	wait := a.Header.Get(headerRetry)
	switch seconds, err := strconv.Atoi(wait); {
	case !slices.Contains(codes, refusal.Code):
		return fmt.Errorf("the code %q is not among %s", refusal.Code, strings.Join(codes, ", "))
	case refusal.Error == "" || refusal.RequestID != a.Header.Get(headerRequest):
		return errors.New("a refusal has a text, and the request's id in the body too")
	case a.Status == http.StatusUnauthorized && a.Header.Get(headerChallenge) == "":
		return errors.New("401 comes with " + headerChallenge)
	case a.Status == http.StatusTooManyRequests && wait == "", wait != "" && (err != nil || seconds < 1):
		return fmt.Errorf("%s is %q", headerRetry, wait)
	}
	return nil
}

// visit checks JSON against a schema.
func visit(s *openapi3.Schema, body []byte) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return s.VisitJSON(v, openapi3.VisitAsResponse(), openapi3.MultiErrors())
}
