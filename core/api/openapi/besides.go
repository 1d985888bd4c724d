package openapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api/pages"
)

// beside is a route that the server has beside the table: it is no envelope.
type beside struct {
	method, path, group, id string
	summary, meaning        string
	answers                 []answer
}

// answer is what such a route answers with one status.
type answer struct {
	status, meaning string
	reply           reflect.Type // of a JSON answer
	form            string       // content type of another one; empty for no body
	codes           []string     // of a refusal, which has no other field
}

// Health is the answer of /health.
type Health struct {
	Status  string `json:"status" enum:"ok" doc:"always ok: the process lives"`
	DB      string `json:"db" enum:"up,down" doc:"whether the store answers now"`
	Version string `json:"version" doc:"version of the broker"`
	GitSHA  string `json:"gitSha" doc:"commit that it was built from"`
	Uptime  int64  `json:"uptime" doc:"whole seconds since it started"`
}

// Ready is the answer of /health/ready when the broker should get traffic.
type Ready struct {
	Status   string   `json:"status" enum:"ready" doc:"ready"`
	Version  string   `json:"version" doc:"version of the broker"`
	GitSHA   string   `json:"gitSha" doc:"commit that it was built from"`
	Uptime   int64    `json:"uptime" doc:"whole seconds since it started"`
	Degraded []string `json:"degraded,omitempty" doc:"stages that are down and that it can do without"`
}

// NotReady is the answer of /health/ready when it should not.
type NotReady struct {
	Status   string   `json:"status" enum:"not_ready" doc:"not_ready"`
	Reason   string   `json:"reason" enum:"draining,db_down,lease_lost,migration_missing,readiness_check_error,stage_down" doc:"why"`
	Expected string   `json:"expected,omitempty" doc:"migration that is waited for"`
	Error    string   `json:"error,omitempty" doc:"what went wrong with the check"`
	Stages   []string `json:"stages,omitempty" doc:"required stages that are down"`
}

// Version is the answer of /version.
type Version struct {
	Version string `json:"version" doc:"version of the broker"`
	GitSHA  string `json:"gitSha" doc:"commit that it was built from"`
}

const (
	groupOperations = "Operations"
	groupSocket     = "Socket"
	groupPages      = "Pages"
)

// besides returns the routes that are not in the table.
func besides() []beside {
	const open = "Anybody, and no limit of rates counts."
	list := []beside{
		{
			method: http.MethodGet, path: "/health", group: groupOperations, id: "health",
			summary: "Says that the process lives", meaning: open,
			answers: []answer{{status: "200", meaning: "It lives.", reply: reflect.TypeFor[Health]()}},
		},
		{
			method: http.MethodGet, path: "/health/ready", group: groupOperations, id: "ready",
			summary: "Says whether the broker should get traffic", meaning: open,
			answers: []answer{
				{status: "200", meaning: "It should.", reply: reflect.TypeFor[Ready]()},
				{status: "503", meaning: "It should not, now.", reply: reflect.TypeFor[NotReady]()},
			},
		},
		{
			method: http.MethodGet, path: "/version", group: groupOperations, id: "version",
			summary: "Tells what runs", meaning: "Anybody.",
			answers: []answer{{status: "200", meaning: "The version.", reply: reflect.TypeFor[Version]()}},
		},
		{
			method: http.MethodGet, path: "/metrics", group: groupOperations, id: "metrics",
			summary: "Shows the metrics of this node", meaning: "Anybody. With http.ops_listen this is at that address alone.",
			answers: []answer{{status: "200", meaning: "The text form of Prometheus.", form: "text/plain"}},
		},
		{
			method: http.MethodGet, path: "/ws", group: groupSocket, id: "socket",
			summary: "Opens the WebSocket of a peer", meaning: "Anybody; who it is, the first frame proves. messages.md has the frames.",
			answers: []answer{
				{status: "101", meaning: "The socket is open."},
				{status: "400", meaning: "The upgrade is not one that WebSocket has.", form: "text/plain"},
				{status: "403", meaning: "A web page asked, which may not.", form: "text/plain"},
				{status: "426", codes: []string{"upgrade_required"}},
				{status: "429", codes: []string{"capacity", "rate_limit"}},
				{status: "503", codes: []string{"shutting_down"}},
			},
		},
	}
	return append(list, pagesBeside()...)
}

// pagesBeside returns the pages for people, and what they load.
func pagesBeside() []beside {
	summaries := map[string]string{
		"/cli-auth": "Shows the page on which a sign-in is approved",
		"/token":    "Shows the page that makes a token to paste",
	}
	forms := map[string]string{".js": "text/javascript", ".css": "text/css", "": "text/html"}
	var list []beside
	for _, pattern := range slices.Sorted(maps.Keys(pages.Handlers())) {
		method, path, _ := strings.Cut(pattern, " ")
		name := path[strings.LastIndexByte(path, '/')+1:]
		ending := ""
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			ending = name[dot:]
		}
		b := beside{
			method: method, path: path, group: groupPages, id: operationID("page." + strings.ReplaceAll(name, ".", "-")),
			summary: summaries[path], meaning: "Anybody.",
			answers: []answer{
				{status: "200", meaning: "The page.", form: forms[ending]},
				{status: "206", meaning: "What was asked for of it.", form: forms[ending]},
				{status: "304", meaning: "The caller has it already."},
				{status: "412", meaning: "The caller has another one, and wants none else."},
				{status: "416", meaning: "It has no such part.", form: "text/plain"},
			},
		}
		if b.summary == "" {
			b.summary = "Shows what the pages load"
			b.answers[0].meaning = "The file."
		}
		list = append(list, b)
	}
	return list
}

// beside describes such a route.
func (b *builder) beside(r beside) *openapi3.Operation {
	o := &openapi3.Operation{
		OperationID: r.id, Summary: r.summary, Description: r.meaning, Tags: []string{r.group},
		Security: &openapi3.SecurityRequirements{}, Responses: openapi3.NewResponsesWithCapacity(2),
	}
	for _, a := range r.answers {
		o.Responses.Set(a.status, &openapi3.ResponseRef{Value: b.answer(a)})
	}
	if !strings.HasPrefix(r.path, "/health") && r.path != "/ws" {
		o.Responses.Set("429", b.refused(http.StatusTooManyRequests, []string{"rate_limit"}))
	}
	return o
}

func (b *builder) answer(a answer) *openapi3.Response {
	if len(a.codes) > 0 {
		status, err := strconv.Atoi(a.status)
		if err != nil {
			panic(err) // a mistake in the list above
		}
		return refusal(status, a.codes)
	}
	if a.reply != nil {
		return response(a.meaning, b.schemas.of(a.reply, answered))
	}
	res := &openapi3.Response{Description: &a.meaning, Headers: openapi3.Headers{headerRequest: headerRef(headerRequest)}}
	if a.form != "" {
		res.Content = openapi3.NewContentWithSchema(openapi3.NewStringSchema(), []string{a.form})
	}
	return res
}
