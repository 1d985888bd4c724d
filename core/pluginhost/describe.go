package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Features of the protocol that a plugin may use.
const (
	featureStream  = "stream/1"
	featureBatch   = "batch/1"
	featureObserve = "observe/1"
	featureLog     = "log/1"
	featureTrace   = "trace/1"
	featureKinds   = "kinds/1"
)

// minor is the version of plugin.proto that this broker speaks, within the
// major version of the handshake.
const minor = 0

// callTime bounds each call that is not about envelopes.
const callTime = 5 * time.Second

// Program is what a plugin says of itself.
type Program struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	SDK      string   `json:"sdk"`
	Language string   `json:"language"`
	Minor    uint32   `json:"minor"`
	Features []string `json:"features"`
	Stages   []Info   `json:"stages"`

	taken func(kind, typ string) bool // of the host that has asked it
}

// Info is what a plugin says of one of its stages.
type Info struct {
	Name         string          `json:"name"`
	Summary      string          `json:"summary"`
	Judges       bool            `json:"judges"`
	Observes     bool            `json:"observes"`
	Schema       json.RawMessage `json:"schema,omitempty"`      // JSON Schema of its options
	Example      json.RawMessage `json:"example,omitempty"`     // options that it accepts
	Capabilities []string        `json:"capabilities"`          // that it cannot do without
	Optional     []string        `json:"optional_capabilities"` // that it does more with
	Environment  []string        `json:"environment"`           // variables that it cannot do without
	Idempotent   bool            `json:"idempotent"`
	Kinds        []Kind          `json:"kinds,omitempty"` // of request that it answers

	match *pluginpb.Match // nil: all; an instance may say otherwise
}

func (p *Program) has(feature string) bool { return slices.Contains(p.Features, feature) }

// stage returns the stage of a name, or says which there are.
func (p *Program) stage(name string) (*Info, error) {
	names := make([]string, len(p.Stages))
	for i := range p.Stages {
		if names[i] = p.Stages[i].Name; names[i] == name {
			return &p.Stages[i], nil
		}
	}
	text := fmt.Sprintf("the program has no stage %q; it has: %s", name, strings.Join(names, ", "))
	if near := nearest.Of(name, names); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return nil, errors.New(text + "; name it with plugin.stage")
}

// ask makes the calls that begin a life: who are you, and what can you be? The
// plugin makes spans when they are taken.
func (h *Host) ask(ctx context.Context, conn grpc.ClientConnInterface, spans bool) (*Program, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	client := pluginpb.NewPluginClient(conn)
	hello, err := client.Hello(ctx, &pluginpb.HelloRequest{
		Minor: minor, MaxMessageBytes: pluginpb.MaxMessage, BrokerVersion: h.o.Version,
		Features: features(spans),
	})
	if err != nil {
		return nil, fmt.Errorf("the program did not answer Hello: %s", reason(err))
	}
	described, err := client.Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil {
		return nil, fmt.Errorf("the program did not describe its stages: %s", reason(err))
	}
	p := &Program{
		Name: hello.GetName(), Version: hello.GetVersion(), SDK: hello.GetSdk(), Language: hello.GetLanguage(),
		Minor: hello.GetMinor(), Features: hello.GetFeatures(), taken: h.o.Taken,
	}
	for _, s := range described.GetStages() {
		p.Stages = append(p.Stages, infoOf(s))
	}
	if !p.has(featureStream) && !p.has(featureBatch) {
		return nil, fmt.Errorf("the program has neither of the features %s and %s, so no envelope can reach it", featureStream, featureBatch)
	}
	return p, nil
}

// features are those that the broker has.
func features(spans bool) []string {
	list := []string{featureStream, featureBatch, featureObserve, featureLog, featureKinds}
	if spans {
		list = append(list, featureTrace)
	}
	return list
}

func infoOf(s *pluginpb.Stage) Info {
	return Info{
		Name: s.GetName(), Summary: s.GetSummary(), Judges: s.GetJudges(), Observes: s.GetObserves(),
		Schema: s.GetOptionsSchema(), Example: s.GetOptionsExample(), Capabilities: s.GetCapabilities(),
		Optional: s.GetOptionalCapabilities(), Environment: s.GetEnvironment(),
		Idempotent: s.GetIdempotent(), Kinds: kindsOf(s.GetKinds()), match: s.GetMatch(),
	}
}

// reason is an error of a call without gRPC's own words.
func reason(err error) string {
	switch s := status.Convert(err); s.Code() {
	case codes.DeadlineExceeded:
		return "no answer in time"
	case codes.Unavailable:
		return "it ended"
	default:
		return s.Message()
	}
}
