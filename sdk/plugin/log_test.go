package plugin

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// complaining is a stage that says why it does not start.
type complaining struct{ log func(context.Context, string) }

func (complaining) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Next(), nil
}

func (c complaining) Start(ctx context.Context) error {
	c.log(ctx, "the disk is full")
	return errors.New("no disk")
}

func (c complaining) Stop(ctx context.Context) error {
	c.log(ctx, "gone")
	return nil
}

// What an instance logs that never gets a stream is not lost, and names the link.
func TestLogsWithoutAStreamAreText(t *testing.T) {
	var text bytes.Buffer
	var s *service
	c := complaining{func(ctx context.Context, message string) { s.log.InfoContext(ctx, message, "used", "100%") }}
	s = newService(Plugin{Stages: []Stage{
		Define("complaining", struct{}{}, func(struct{}) (complaining, error) { return c, nil }),
	}}, &text, func(error) {})
	s.logs.allow(true)
	resp, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Instance: "one", Link: "ada", Stage: "complaining"})
	if err != nil || len(resp.Diagnostics) != 1 {
		t.Fatal(resp, err)
	}
	for _, want := range []string{`level=INFO msg="the disk is full" link=ada used=100%`, `level=INFO msg=gone link=ada used=100%`} {
		if strings.Count(text.String(), want) != 1 {
			t.Errorf("%s is not once in\n%s", want, &text)
		}
	}
}
