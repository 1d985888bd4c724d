package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

type group struct {
	From string `json:"from" doc:"who may write"`
	Size int    `json:"size"`
}

type options struct {
	Timezone string          `json:"timezone" doc:"name of the zone, as in Europe/Berlin"`
	Grace    plugin.Duration `json:"grace" doc:"how long before and after"`
	Groups   []group         `json:"groups"`
	Strict   bool            `json:"strict"`
	Open     time.Time       `json:"open,omitzero"`
}

func (o options) Validate() error {
	if o.Timezone == "nowhere" {
		return errors.Join(&plugin.OptionError{Path: "timezone", Message: "there is no such zone"}, errors.New("and more"))
	}
	return nil
}

var defaults = options{Timezone: "UTC", Grace: plugin.Duration(time.Minute), Groups: []group{{From: "ops"}}}

func TestOptions(t *testing.T) {
	wrong := func(path, message string) *pluginpb.Diagnostic {
		return &pluginpb.Diagnostic{Path: path, Message: message}
	}
	tests := []struct {
		name, json string
		want       options
		wrong      []*pluginpb.Diagnostic
	}{
		{"keeps the defaults", "", defaults, nil},
		{"keeps those of what is not there", `{"grace": "50ms", "strict": true}`,
			options{Timezone: "UTC", Grace: plugin.Duration(50 * time.Millisecond), Groups: defaults.Groups, Strict: true}, nil},
		{"replaces a list", `{"groups": [{"from": "a"}, {"size": 2}]}`,
			options{Timezone: "UTC", Grace: defaults.Grace, Groups: []group{{From: "a"}, {Size: 2}}}, nil},
		{"tells all that is wrong", `{"timezon": "x", "grace": "long", "groups": [{"form": "a"}, {"size": "b"}], "strict": 1, "zzzzzz": 1}`, options{},
			[]*pluginpb.Diagnostic{
				wrong("grace", `"long" is no duration; write it as "50ms", "2s" or "1h30m"`),
				wrong("groups.0.form", `there is no such option; did you mean "from"?`),
				wrong("groups.1.size", "has to be a whole number, not a text"),
				wrong("strict", "has to be true or false, not this number"),
				wrong("timezon", `there is no such option; did you mean "timezone"?`),
				wrong("zzzzzz", "there is no such option; known are timezone, grace, groups, strict, open"),
			}},
		{"asks the options themselves", `{"timezone": "nowhere"}`, options{},
			[]*pluginpb.Diagnostic{wrong("timezone", "there is no such zone"), wrong("", "and more")}},
		{"wants an object", `[]`, options{}, []*pluginpb.Diagnostic{wrong("", "the options have to be an object")}},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			var got options
			r := serve(t, plugin.Define("s", defaults, func(o options) (handle, error) { got = o; return next, nil }))
			resp, err := r.Validate(r.context(), &pluginpb.ValidateRequest{Stage: "s", Options: []byte(tt.json)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wrong, resp.Diagnostics, protocmp.Transform()); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("it says what is no JSON", func(t *testing.T) {
		r := serve(t, judge(next))
		resp, err := r.Validate(context.Background(), &pluginpb.ValidateRequest{Stage: "judge", Options: []byte("{")})
		if err != nil || len(resp.Diagnostics) != 1 || !strings.HasPrefix(resp.Diagnostics[0].Message, "the options are no JSON") {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

func TestDescribe(t *testing.T) {
	r := serve(t,
		plugin.Define("full", defaults, func(options) (*whole, error) { return nil, nil },
			plugin.Summary("one line"), plugin.Needs(plugin.IdentityRead, plugin.VerdictDrop), plugin.Idempotent(),
			plugin.Example(options{Timezone: "CET"})),
		plugin.DefineObserver("watch", none{}, func(none) (*whole, error) { return nil, nil }))
	resp, err := r.Describe(r.context(), &pluginpb.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	schema := resp.Stages[0].OptionsSchema
	resp.Stages[0].OptionsSchema = nil
	want := []*pluginpb.Stage{
		{Name: "full", Summary: "one line", Judges: true, Observes: true, Idempotent: true,
			Capabilities: []string{"identity.read", "verdict.drop"}, OptionsExample: []byte(`{"timezone":"CET","grace":"0s","groups":[],"strict":false}`)},
		{Name: "watch", Observes: true, OptionsExample: []byte(`{}`)},
	}
	if diff := cmp.Diff(want, resp.Stages, protocmp.Transform()); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	const golden = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$defs": {"group": {"type": "object", "additionalProperties": false, "properties": {
			"from": {"type": "string", "description": "who may write"}, "size": {"type": "integer"}}}},
		"type": "object", "additionalProperties": false,
		"properties": {
			"timezone": {"type": "string", "default": "UTC", "description": "name of the zone, as in Europe/Berlin"},
			"grace": {"type": "string", "default": "1m0s", "examples": ["50ms", "1h30m"], "description": "how long before and after",
				"pattern": "^[+-]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"},
			"groups": {"type": "array", "items": {"$ref": "#/$defs/group"}, "default": [{"from": "ops", "size": 0}]},
			"strict": {"type": "boolean", "default": false},
			"open": {"type": "string", "format": "date-time"}
		}
	}`
	var wantSchema, gotSchema any
	if err := errors.Join(json.Unmarshal([]byte(golden), &wantSchema), json.Unmarshal(schema, &gotSchema)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSchema, gotSchema); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}
