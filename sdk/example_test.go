package sdk_test

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// OfficeHours lets messages through on weekdays from nine to five, and what is
// urgent at any time.
type OfficeHours struct {
	Zone *time.Location
}

// Kinds limits the stage to messages.
func (OfficeHours) Kinds() []sdk.Kind { return []sdk.Kind{sdk.KindSend} }

// Handle judges one message.
func (o OfficeHours) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Priority == sdk.PriorityNow {
		return sdk.Next(), nil
	}
	at := env.Arrived.In(o.Zone)
	weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
	if weekend || at.Hour() < 9 || at.Hour() >= 17 {
		return sdk.Refuse("office_hours", "the office is closed; send with priority now if it cannot wait"), nil
	}
	return sdk.Next(), nil
}

// A whole stage. The same type runs inside the broker and as a plugin.
func Example() {
	stage := OfficeHours{Zone: time.UTC}
	for _, env := range []sdk.Envelope{
		{Kind: sdk.KindSend, Priority: sdk.PriorityNext, Arrived: time.Date(2026, 8, 3, 11, 0, 0, 0, time.UTC)},
		{Kind: sdk.KindSend, Priority: sdk.PriorityNext, Arrived: time.Date(2026, 8, 8, 11, 0, 0, 0, time.UTC)},
		{Kind: sdk.KindSend, Priority: sdk.PriorityNow, Arrived: time.Date(2026, 8, 8, 11, 0, 0, 0, time.UTC)},
	} {
		d, err := stage.Handle(context.Background(), &env)
		fmt.Println(env.Arrived.Weekday(), env.Priority, d.Verdict, d.Reason, err)
	}
	// Output:
	// Monday next continue  <nil>
	// Saturday next deny office_hours <nil>
	// Saturday now continue  <nil>
}
