package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// EventWatchTriggered says that a URL has changed as a [Watch] wants to know.
const EventWatchTriggered = "watch_triggered"

// Watch has the broker look at a URL from time to time and tell the sender's member
// when it changes: every session of the member that is connected then, on whatever
// node, gets the event watch_triggered. It goes on when they are all away, and over
// restarts: the last thing that it has seen meanwhile the first of them hears that
// comes back. Who asks for the same again gets the same watch. Its answer is a
// [WatchAck]. Errors: invalid; forbidden; capacity when there are too many;
// not_available where the operator has switched watches off.
type Watch struct {
	URL      string         `json:"url" required:"true" max:"2048" doc:"http or https, at a public address"`
	Mode     string         `json:"mode,omitempty" enum:"hash,json,status" doc:"what is compared: a hash of the body, which is what is taken when absent; a part of a body of JSON; or the status"`
	Extract  string         `json:"extract,omitempty" max:"256" doc:"with json, the part: names and indexes with full stops in between, such as items.0.name. All of it when absent"`
	Interval *int64         `json:"interval,omitzero" doc:"seconds from one look to the next, taken as 15 to 86400; 30 when absent. After failures it is longer, up to an hour"`
	NotifyOn string         `json:"notify_on,omitempty" max:"1024" doc:"change, which is what is taken when absent; match: and a value, when it becomes that; not_match: and a value, when it is that no longer"`
	Headers  jsontext.Value `json:"headers,omitzero" max:"8192" doc:"an object of texts: headers of the requests, at most 16, which no other origin gets in a redirect"`
	Label    string         `json:"label,omitempty" max:"128" doc:"any text, which the event repeats"`
}

// FrameType returns watch.
func (Watch) FrameType() string { return "watch" }

// Unwatch ends a watch of the sender's member. Its answer is a [WatchAck] with an
// interval of 0, also where there is no such watch.
type Unwatch struct {
	WatchID string `json:"watchId" required:"true" max:"256" doc:"id of the watch"`
}

// FrameType returns unwatch.
func (Unwatch) FrameType() string { return "unwatch" }

// WatchAck answers a [Watch] and an [Unwatch].
type WatchAck struct {
	WatchID  string `json:"watchId" doc:"id of the watch; empty when it was refused"`
	URL      string `json:"url" doc:"as it was sent; empty where there is no such watch"`
	Mode     string `json:"mode" doc:"what is compared; empty where there is no such watch"`
	Interval int64  `json:"interval" doc:"seconds from one look to the next; 0 when the watch has ended"`
	Error    string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns watch_ack.
func (WatchAck) FrameType() string { return "watch_ack" }

// WatchList asks for the watches of the sender's member. Its answer is a
// [WatchListResult].
type WatchList struct{}

// FrameType returns watch_list.
func (WatchList) FrameType() string { return "watch_list" }

// WatchListResult answers a [WatchList].
type WatchListResult struct {
	Watches []WatchRow `json:"watches" doc:"in the order in which they were made"`
	Error   string     `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns watch_list_result.
func (WatchListResult) FrameType() string { return "watch_list_result" }

// WatchRow is one watch.
type WatchRow struct {
	ID        string    `json:"id" doc:"id of the watch"`
	URL       string    `json:"url" doc:"what is looked at"`
	Mode      string    `json:"mode" doc:"what is compared"`
	Label     string    `json:"label,omitempty" doc:"as it was sent"`
	Interval  int64     `json:"interval" doc:"seconds from one look to the next"`
	NotifyOn  string    `json:"notifyOn" doc:"when the member is told"`
	LastHash  string    `json:"lastHash" doc:"the value of the last look that went well; empty before the first"`
	LastValue string    `json:"lastValue" doc:"the same"`
	LastCheck time.Time `json:"lastCheck,omitzero" doc:"the last look; absent before the first"`
	NextCheck time.Time `json:"nextCheck" doc:"the next look, at the earliest"`
	Failures  int64     `json:"failures,omitzero" doc:"looks in a row that went wrong"`
	LastError string    `json:"lastError,omitempty" doc:"what went wrong with the last look; absent when it went well"`
	CreatedAt time.Time `json:"createdAt" doc:"when it was made"`
}

// WatchTriggered is the eventData of the event watch_triggered.
type WatchTriggered struct {
	WatchID  string `json:"watchId" doc:"id of the watch"`
	URL      string `json:"url" doc:"what was looked at"`
	Label    string `json:"label,omitempty" doc:"of the watch"`
	Mode     string `json:"mode" doc:"what was compared"`
	OldValue string `json:"oldValue" doc:"the value before, at most 1024 bytes"`
	NewValue string `json:"newValue" doc:"the value now, at most 1024 bytes"`
}
