package plugin_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// Options is what an operator writes under the stage's name.
type Options struct {
	Timezone string          `json:"timezone" doc:"name of the time zone, as in Europe/Berlin"`
	Grace    plugin.Duration `json:"grace" doc:"how long before and after the hours messages still pass"`
}

// OfficeHours lets messages pass on weekdays from nine to five.
type OfficeHours struct {
	zone  *time.Location
	grace time.Duration
}

// New makes the stage from its options.
func New(o Options) (*OfficeHours, error) {
	zone, err := time.LoadLocation(o.Timezone)
	if err != nil {
		return nil, &plugin.OptionError{Path: "timezone", Message: "there is no such time zone"}
	}
	return &OfficeHours{zone: zone, grace: time.Duration(o.Grace)}, nil
}

// Match limits the stage to messages that can wait: no other crosses.
func (*OfficeHours) Match() sdk.Match {
	return sdk.Match{Kinds: []sdk.Kind{sdk.KindSend}, Priorities: []sdk.Priority{sdk.PriorityNext, sdk.PriorityLow}}
}

// Handle judges one message.
func (o *OfficeHours) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	at := env.Arrived.In(o.zone)
	opens := time.Date(at.Year(), at.Month(), at.Day(), 9, 0, 0, 0, o.zone).Add(-o.grace)
	closes := time.Date(at.Year(), at.Month(), at.Day(), 17, 0, 0, 0, o.zone).Add(o.grace)
	weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
	if weekend || at.Before(opens) || at.After(closes) {
		return sdk.Refuse("office_hours", "the office is closed; send with priority now if it cannot wait"), nil
	}
	return sdk.Next(), nil
}

// officeHours is the whole program: main hands it to plugin.Serve.
func officeHours() plugin.Plugin {
	return plugin.Plugin{
		Name: "office-hours", Version: "1.0.0",
		Stages: []plugin.Stage{plugin.Define("office-hours", Options{Timezone: "UTC"}, New,
			plugin.Summary("refuses messages outside of office hours"), plugin.Idempotent())},
	}
}

func TestExampleConforms(t *testing.T) { sdktest.Conformance(t, officeHours()) }

func ExampleDefine() {
	program := officeHours() // func main() { plugin.Serve(officeHours()) }
	fmt.Println(program.Name, program.Version)

	stage, err := New(Options{Timezone: "UTC"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := stage.Handle(context.Background(), &sdk.Envelope{Arrived: time.Date(2026, 8, 3, 17, 30, 0, 0, time.UTC)})
	fmt.Println(d.Verdict, d.Reason, err)
	_, err = New(Options{Timezone: "Atlantis"})
	fmt.Println(err)
	// Output:
	// office-hours 1.0.0
	// deny office_hours <nil>
	// timezone: there is no such time zone
}
