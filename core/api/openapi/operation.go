package openapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/feature"
)

// maxValue is how long a value in a path or a query may be, in bytes.
const maxValue = "1024"

// userID is the name under which legacy-auth takes an account.
const userID = "user_id"

// operation describes a route.
func (b *builder) operation(r *api.Route) *openapi3.Operation {
	o := &openapi3.Operation{
		OperationID: operationID(string(r.Kind)),
		Summary:     sentence(r.Summary),
		Description: who(r),
		Tags:        []string{r.Group},
		Security:    security(r),
		Parameters:  b.parameters(r),
		Responses:   b.answers(r),
	}
	switch {
	case r.Body == api.BodyRaw:
		o.RequestBody = &openapi3.RequestBodyRef{Value: &openapi3.RequestBody{
			Required: true, Content: openapi3.NewContentWithJSONSchema(openapi3.NewSchema()),
		}}
	case hasBody(r):
		schema := b.schemas.of(r.Request, asked)
		if r.Legacy {
			b.vouched(schema.Value)
		}
		o.RequestBody = &openapi3.RequestBodyRef{Value: &openapi3.RequestBody{
			Required: r.Body == api.BodyObject, Content: openapi3.NewContentWithJSONSchemaRef(schema),
		}}
	}
	return o
}

// who says in words who may ask.
func who(r *api.Route) string {
	text := whoMayAsk(r) + "."
	if r.Guessable {
		text += " Refused attempts of one address are counted and limited."
	}
	return text
}

func whoMayAsk(r *api.Route) string {
	text := ""
	switch r.Access {
	case feature.Anyone:
		text = "Anybody, and credentials are not looked at"
	case feature.AnyoneKnown:
		text = "Anybody, but a credential that comes along has to be good"
		if r.Wants != 0 {
			text = sentence(oneOf(r.Wants, func(p proof) string { return p.meaning }))
		}
	case feature.AnyCaller:
		text = "An account by its token, or a member by its signature"
		if r.Key != "" {
			text = "Who holds an API key that can " + string(r.Key) + ", a member by its signature, or an account by its token"
		}
	case feature.AnAccount:
		text = "An account by its token"
	}
	if r.Legacy {
		text += "; where legacy-auth is on, whoever names an account in `user_id`"
	}
	return text
}

// proof is a way in which callers prove themselves: in the word of the tables, in
// more words, and as a security scheme, empty for one that OpenAPI has none for.
type proof struct {
	of                    api.Proofs
	word, meaning, scheme string
}

var proofs = []proof{
	{api.ByAccount, "account", "an account by its token", schemeBearer},
	{api.ByMember, "member", "a member by its signature", schemeMember},
	{api.ByCode, "one-time code", "whoever sends a one-time code in `code`", ""},
	{api.ByTicket, "ticket", "whoever has the address with its `ticket`", ""},
	{api.ByPlace, "the broker's machine", "whoever calls from the broker's own machine", ""},
}

// oneOf lists proofs, the last one behind an "or".
func oneOf(wanted api.Proofs, text func(proof) string) string {
	var list []string
	for _, p := range proofs {
		if wanted&p.of != 0 {
			list = append(list, text(p))
		}
	}
	last := len(list) - 1
	if last == 0 {
		return list[0]
	}
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// wanted is the security of a route whose handler wants a proof. The empty
// requirement stands for those that are no header.
func wanted(by api.Proofs) *openapi3.SecurityRequirements {
	list := openapi3.SecurityRequirements{}
	for _, p := range proofs {
		switch {
		case by&p.of == 0:
		case p.scheme == "":
			list = append(list, openapi3.SecurityRequirement{})
		default:
			list = append(list, openapi3.SecurityRequirement{p.scheme: {}})
		}
	}
	return &list
}

func security(r *api.Route) *openapi3.SecurityRequirements {
	bearer, member := openapi3.SecurityRequirement{schemeBearer: {}}, openapi3.SecurityRequirement{schemeMember: {}}
	switch r.Access {
	case feature.AnyoneKnown:
		if r.Wants != 0 {
			return wanted(r.Wants)
		}
		return &openapi3.SecurityRequirements{{}, bearer, member}
	case feature.AnyCaller:
		return &openapi3.SecurityRequirements{bearer, member}
	case feature.AnAccount:
		return &openapi3.SecurityRequirements{bearer}
	default:
		return &openapi3.SecurityRequirements{}
	}
}

const legacyMeaning = "account that asks, where legacy-auth is on and no bearer token is sent"

// vouched adds the field of legacy-auth to a body.
func (*builder) vouched(body *openapi3.Schema) {
	if body.Properties[userID] == nil {
		body.Properties[userID] = ref(&openapi3.Schema{Type: &openapi3.Types{"string"}, Description: legacyMeaning, Deprecated: true})
	}
}

// parameters describes what a route takes from its path and its query.
func (b *builder) parameters(r *api.Route) openapi3.Parameters {
	var list openapi3.Parameters
	add := func(name, in, meaning string) {
		list = append(list, &openapi3.ParameterRef{Value: &openapi3.Parameter{
			Name: name, In: in, Description: meaning, Required: in == openapi3.ParameterInPath,
			Schema: ref(&openapi3.Schema{Type: &openapi3.Types{"string"}, MaxLength: number(maxValue)}),
		}})
	}
	_, names := pathOf(r.Path)
	named := map[string]bool{}
	for f := range fieldsOf(r.Request) {
		if name, ok := f.Tag.Lookup("path"); ok && slices.Contains(names, name) {
			add(name, openapi3.ParameterInPath, f.Tag.Get("doc"))
			named[name] = true
		}
		if name, ok := f.Tag.Lookup("query"); ok {
			add(name, openapi3.ParameterInQuery, f.Tag.Get("doc"))
			named[name] = true
		}
		if name, ok := f.Tag.Lookup("header"); ok {
			add(name, openapi3.ParameterInHeader, f.Tag.Get("doc"))
		}
	}
	for _, name := range names {
		if !named[name] {
			add(name, openapi3.ParameterInPath, "not read")
		}
	}
	if r.Legacy && !hasBody(r) && !named[userID] {
		add(userID, openapi3.ParameterInQuery, legacyMeaning)
	}
	return list
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			if !yield(f) {
				return
			}
		}
	}
}

// answers describes what a route answers.
func (b *builder) answers(r *api.Route) *openapi3.Responses {
	list := openapi3.NewResponsesWithCapacity(8)
	ok := response("It worked.", b.schemas.of(r.Reply, answered))
	if reflect.PointerTo(r.Reply).Implements(reflect.TypeFor[api.Streamed]()) {
		ok.Content = openapi3.NewContentWithSchema(openapi3.NewStringSchema(), []string{eventStream})
	}
	if r.Legacy {
		ok.Headers[headerDeprecation], ok.Headers[headerWarning] = headerRef(headerDeprecation), headerRef(headerWarning)
	}
	list.Set("200", &openapi3.ResponseRef{Value: ok})
	for _, a := range r.Also {
		res := b.answer(answer{meaning: a.Meaning, form: a.Form})
		if a.Form == jsonType {
			res = response(a.Meaning, b.schemas.of(r.Reply, answered))
		}
		list.Set(strconv.Itoa(a.Status), &openapi3.ResponseRef{Value: res})
	}
	for status, codes := range refusals(r) {
		list.Set(strconv.Itoa(status), b.refused(status, codes))
	}
	return list
}

// eventStream is the form of answers that are written for as long as they last.
const eventStream = "text/event-stream"

// refused describes the refusals with one status. Those that most routes have in
// common are described once.
func (b *builder) refused(status int, codes []string) *openapi3.ResponseRef {
	slices.Sort(codes)
	codes = slices.Compact(codes)
	res := refusal(status, codes)
	name := strings.ReplaceAll(http.StatusText(status), " ", "")
	if status < http.StatusTooManyRequests || !slices.Equal(codes, b.common(name, status, codes)) {
		return &openapi3.ResponseRef{Value: res}
	}
	return &openapi3.ResponseRef{Ref: "#/components/responses/" + name}
}

// common returns the codes that are common with a status: those that are first
// asked about.
func (b *builder) common(name string, status int, codes []string) []string {
	if b.responses[name] == nil {
		b.responses[name] = &openapi3.ResponseRef{Value: refusal(status, codes)}
	}
	return b.responses[name].Value.Extensions[extensionCodes].([]string)
}

func refusal(status int, codes []string) *openapi3.Response {
	meaning := http.StatusText(status) + ": `" + strings.Join(codes, "`, `") + "`."
	if status == http.StatusInternalServerError {
		meaning += " A fault of the broker, which is in its log."
	}
	res := response(meaning, &openapi3.SchemaRef{Ref: "#/components/schemas/" + errorSchema})
	res.Extensions = map[string]any{extensionCodes: codes}
	switch status {
	case http.StatusUnauthorized:
		res.Headers[headerChallenge] = headerRef(headerChallenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		res.Headers[headerRetry] = headerRef(headerRetry)
	}
	return res
}

// extensionCodes is the field of a response that lists the codes that it may
// have.
const extensionCodes = "x-codes"

// response describes an answer in JSON.
func response(meaning string, schema *openapi3.SchemaRef) *openapi3.Response {
	return &openapi3.Response{
		Description: &meaning,
		Headers:     openapi3.Headers{headerRequest: headerRef(headerRequest)},
		Content:     openapi3.NewContentWithJSONSchemaRef(schema),
	}
}
