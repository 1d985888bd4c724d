package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// CreateStream puts the name of a stream on the list of the mesh. A stream needs
// no creation to be published or subscribed to. Its answer is a [StreamCreated],
// with the id of the stream that is there already where there is one. Errors:
// invalid; forbidden; capacity.
type CreateStream struct {
	Name string `json:"name" required:"true" max:"128" doc:"name of the stream, at least one byte"`
}

// FrameType returns create_stream.
func (CreateStream) FrameType() string { return "create_stream" }

// StreamCreated answers a [CreateStream].
type StreamCreated struct {
	ID    string `json:"id,omitempty" doc:"id of the stream; absent when it was refused"`
	Name  string `json:"name,omitempty" doc:"its name; absent when it was refused"`
	Error string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns stream_created.
func (StreamCreated) FrameType() string { return "stream_created" }

// Subscribe has the session hear of what others publish to a stream. A session
// that comes back within its grace time still does, and one with a key of its own
// that comes back later. Its answer is a [Subscribed]. Errors: invalid; capacity
// for more than 64 streams.
type Subscribe struct {
	Stream string `json:"stream" required:"true" max:"128" doc:"name of the stream, at least one byte"`
}

// FrameType returns subscribe.
func (Subscribe) FrameType() string { return "subscribe" }

// Subscribed answers a [Subscribe].
type Subscribed struct {
	Stream string `json:"stream" doc:"as it was asked for"`
	Error  string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns subscribed.
func (Subscribed) FrameType() string { return "subscribed" }

// Unsubscribe is the end of a [Subscribe]. There is no answer; a refusal is an ack
// with an error.
type Unsubscribe struct {
	Stream string `json:"stream" required:"true" max:"128" doc:"name of the stream"`
}

// FrameType returns unsubscribe.
func (Unsubscribe) FrameType() string { return "unsubscribe" }

// Publish tells the other sessions that subscribe to a stream something, on every
// node, as a [StreamData]. Nothing of it is kept. There is no answer; a refusal is
// an ack with an error. Errors: invalid; forbidden; rate_limit; capacity.
type Publish struct {
	Stream string         `json:"stream" required:"true" max:"128" doc:"name of the stream, at least one byte"`
	Data   jsontext.Value `json:"data,omitzero" max:"32768" doc:"any JSON, nested 28 levels at most"`
}

// FrameType returns publish.
func (Publish) FrameType() string { return "publish" }

// StreamData tells a subscriber of a [Publish], where it and the publisher grant
// each other state-read. What one session publishes to a stream comes in order. A
// subscriber that does not read in time, or is not connected, misses some: then
// seq leaves numbers out.
type StreamData struct {
	Stream       string         `json:"stream" doc:"name of the stream"`
	Data         jsontext.Value `json:"data,omitzero" doc:"what was published"`
	PublishedBy  string         `json:"publishedBy" doc:"name of the member that did it"`
	PublisherKey sdk.Key        `json:"publisherKey" doc:"key of the session that did it, else of its member"`
	Seq          int64          `json:"seq" doc:"counts what this session publishes to this stream; begins at 1 anew when it comes to another node or after a restart of the broker"`
	PublishedAt  time.Time      `json:"publishedAt" doc:"when"`
}

// FrameType returns stream_data.
func (StreamData) FrameType() string { return "stream_data" }

// ListStreams asks for the streams that were created. Its answer is a
// [StreamList].
type ListStreams struct{}

// FrameType returns list_streams.
func (ListStreams) FrameType() string { return "list_streams" }

// StreamList answers a [ListStreams].
type StreamList struct {
	Streams []StreamRow `json:"streams" doc:"the oldest first, without those whose creator does not let the asker read"`
	Error   string      `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns stream_list.
func (StreamList) FrameType() string { return "stream_list" }

// StreamRow is one stream.
type StreamRow struct {
	ID              string    `json:"id" doc:"id of the stream"`
	Name            string    `json:"name" doc:"its name"`
	CreatedBy       string    `json:"createdBy" doc:"name, at that time, of the member that created it"`
	CreatedAt       time.Time `json:"createdAt" doc:"when it was created"`
	SubscriberCount int64     `json:"subscriberCount" doc:"sessions that subscribe to it, on all nodes, those in their grace time too"`
}
