package frames_test

import (
	"bytes"
	"crypto/sha256"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// frame is a message with what has to be said about it.
type frame struct {
	name    string
	call    string // whose message it is
	about   string
	message message
	extra   []byte // after the message: what a reader has to pass over
	ignored string // what extra is
}

// frames are in the order of a life.
func frames() []frame {
	return []frame{
		{name: "hello-request", call: "Hello", about: "The first call of a life.", message: &pluginpb.HelloRequest{
			Minor: 1, Features: []string{"stream/1", "batch/1", "observe/1", "log/1", "trace/1", "kinds/1"}, MaxMessageBytes: 4194304, BrokerVersion: "1.0.0",
		}},
		{name: "hello-response", call: "Hello", about: "A plugin that can do everything.", message: &pluginpb.HelloResponse{
			Minor: 1, Features: []string{"stream/1", "batch/1", "log/1", "trace/1", "observe/1", "kinds/1"},
			Name: "office-hours", Version: "1.2.0", Sdk: "go 1.0", Language: "go go1.26.0",
		}},
		{name: "hello-response-simple", call: "Hello", about: "A plugin of the simple level. The minor version is 0, so it is not on the wire.",
			message: &pluginpb.HelloResponse{
				Features: []string{"batch/1"}, Name: "content-size-guard", Version: "1.0.0", Sdk: "typescript 1.0", Language: "node 22.0.0",
			}},
		{name: "hello-response-unknown", call: "Hello", about: "A feature and a field that the reader does not know. It passes over both.",
			message: &pluginpb.HelloResponse{Features: []string{"batch/1", "telepathy/1"}, Name: "from-tomorrow", Version: "9.0.0"},
			extra:   unknown(), ignored: "field 200, a text, behind what json shows"},
		{name: "describe-request", call: "Describe", about: "A message without fields has no bytes.", message: &pluginpb.DescribeRequest{}},
		{name: "describe-response", call: "Describe", about: "Two stages: one that judges, one that is told outcomes and takes no options.",
			message: &pluginpb.DescribeResponse{Stages: []*pluginpb.Stage{
				{
					Name: "office-hours", Summary: "holds what is not urgent outside office hours", Judges: true,
					OptionsSchema:  []byte(`{"type":"object","properties":{"timezone":{"type":"string"}},"additionalProperties":false}`),
					OptionsExample: []byte(`{"timezone":"Europe/Madrid"}`),
					Capabilities:   []string{"delivery.hold"}, OptionalCapabilities: []string{"identity.read"},
					Match:      &pluginpb.Match{Kinds: []string{"send", "http.*"}, Priorities: []uint32{1, 2}, Targets: []uint32{1, 3}, MinSize: 1, MaxSize: 65536},
					Idempotent: true,
				},
				{Name: "office-log", Observes: true, Environment: []string{"OFFICE_LOG_TOKEN"}},
			}}},
		{name: "describe-response-kinds", call: "Describe", about: "A stage that owns a kind of request. A refusal of it has the type note_kept, an empty id, and the broker's error.",
			message: &pluginpb.DescribeResponse{Stages: []*pluginpb.Stage{{
				Name: "notes", Summary: "keeps a note for each mesh", Kinds: []*pluginpb.Kind{{
					Name: "note_put", Summary: "keeps a note", Replies: []string{"note_kept"}, Permission: "canWriteState",
					Refusal: "note_kept", RefusalFields: []byte(`{"id":""}`),
				}},
			}}}},
		{name: "answer-request", call: "Answer", about: "A request of a kind that the stage owns. The frame was {\"type\":\"note_put\",\"_reqId\":\"r1\",\"text\":\"buy milk\"}.",
			message: &pluginpb.AnswerRequest{
				Instance: "notes-4", DeadlineNanos: 4_000_000_000, Envelope: asked(), Fields: []byte(`{"text":"buy milk"}`),
			}},
		{name: "answer-response", call: "Answer", about: "The answer. The peer gets {\"type\":\"note_kept\",\"_reqId\":\"r1\",\"id\":\"n1\"}.",
			message: &pluginpb.AnswerResponse{Type: "note_kept", Fields: []byte(`{"id":"n1"}`)}},
		{name: "answer-response-refused", call: "Answer", about: "A refusal. The peer gets {\"type\":\"note_kept\",\"_reqId\":\"r1\",\"id\":\"\",\"error\":\"too_long: a note has at most 100 bytes\"}.",
			message: &pluginpb.AnswerResponse{Reason: "too_long", Text: "a note has at most 100 bytes"}},
		{name: "validate-request", call: "Validate", about: "Options are a JSON object, as bytes. There is a link, and this is what it was granted.",
			message: &pluginpb.ValidateRequest{Stage: "office-hours", Options: []byte(`{"timezone":"Europe/Madird"}`), Granted: []string{"delivery.hold"}, HasGranted: true}},
		{name: "validate-request-no-link", call: "Validate", about: "No link has these options: they are judged as if all were granted.",
			message: &pluginpb.ValidateRequest{Stage: "office-hours", Options: []byte(`{}`)}},
		{name: "validate-response", call: "Validate", about: "One thing that is wrong, and one that is only worth saying. No diagnostics at all: the options are good.",
			message: &pluginpb.ValidateResponse{Diagnostics: []*pluginpb.Diagnostic{
				{Path: "timezone", Message: "there is no zone Europe/Madird"},
				{Message: "nothing is ever closed", Warning: true},
			}}},
		{name: "configure-request", call: "Configure", about: "Make an instance.", message: &pluginpb.ConfigureRequest{
			Instance: "office-hours-1", Stage: "office-hours", Link: "office-hours", Options: []byte(`{"timezone":"Europe/Madrid"}`),
			Granted: []string{"delivery.hold"}, Generation: 3, InFlight: 1024,
		}},
		{name: "configure-response", call: "Configure", about: "Made. The match replaces that of Describe, the window is smaller than the broker's.",
			message: &pluginpb.ConfigureResponse{Match: &pluginpb.Match{Kinds: []string{"send"}}, HasMatch: true, InFlight: 256}},
		{name: "configure-response-refused", call: "Configure", about: "A diagnostic that is no warning: there is no instance.",
			message: &pluginpb.ConfigureResponse{Diagnostics: []*pluginpb.Diagnostic{{Message: "start: no such database"}}}},

		{name: "open", call: "Process", about: "The first frame of a stream.",
			message: &pluginpb.HostFrame{Open: &pluginpb.Open{Instance: "office-hours-1"}}},
		{name: "batch-metadata", call: "Process", about: "Two envelopes for a plugin without capabilities: keys are pseudonyms, names are empty.",
			message: &pluginpb.HostFrame{Batch: &pluginpb.Batch{
				Seq: 1, DeadlineNanos: 100_000_000, Envelopes: []*pluginpb.Envelope{bare(), bareHello()},
			}}},
		{name: "batch-all-capabilities", call: "Process", about: "An envelope with everything that can be granted, and a hello.",
			message: &pluginpb.HostFrame{Batch: &pluginpb.Batch{
				Seq: 2, DeadlineNanos: 50_000_000, Envelopes: []*pluginpb.Envelope{full(), fullHello()},
			}}},
		{name: "batch-unary", call: "ProcessBatch", about: "The same message without a frame around it. Here it names its instance.",
			message: &pluginpb.Batch{Seq: 3, DeadlineNanos: 100_000_000, Instance: "content-size-guard-2", Envelopes: []*pluginpb.Envelope{bare()}}},
		{name: "verdicts-continue", call: "Process", about: "Both envelopes of batch-metadata go on.",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 1, Count: 2, DefaultVerdict: 1}}},
		{name: "verdicts-exceptions", call: "Process", about: "Of batch-all-capabilities, the first is changed and goes on, the second is denied. Notes are allowed with any verdict.",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 2, Count: 2, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{
				{
					Index: 0, Verdict: 1, Attributes: []*pluginpb.Attribute{{Key: "held", Value: "until Monday"}},
					LeaveOut: []uint32{1}, SetPriority: 3, HoldUntilNanos: 1785740400_000000000,
				},
				{
					Index: 1, Verdict: 2, Reason: "office_hours", Text: "we are closed; open again Mon 09:00", RetryAfterNanos: 3_600_000_000_000,
					Attributes: []*pluginpb.Attribute{{Key: "rule", Value: "closed"}},
				},
			}}}},
		{name: "verdicts-deny-by-default", call: "Process", about: "All are denied but the second. Without a reason of its own the sender gets \"refused\".",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 1, Count: 2, DefaultVerdict: 2, Exceptions: []*pluginpb.Verdict{{Index: 1, Verdict: 1}}}}},
		{name: "verdicts-drop", call: "Process", about: "The first is dropped in silence. It needs the capability verdict.drop.",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 1, Count: 2, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{{Verdict: 3, Reason: "spam"}}}}},
		{name: "verdicts-failed", call: "Process", about: "The stage failed on the first envelope. That says nothing about the envelope: the link's on_failure decides.",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 1, Count: 2, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{{Error: "its database is away"}}}}},
		{name: "verdicts-unary", call: "ProcessBatch", about: "The answer to batch-unary, without a frame around it.",
			message: &pluginpb.Verdicts{Seq: 3, Count: 1, DefaultVerdict: 1}},
		{name: "cancel", call: "Process", about: "Verdicts of these batches are of no use any more. They are owed all the same.",
			message: &pluginpb.HostFrame{Cancel: &pluginpb.Cancel{Seqs: []uint64{4, 5, 300}}}},
		{name: "ping", call: "Process", about: "Are you there?", message: &pluginpb.HostFrame{Ping: &pluginpb.Ping{Nonce: 7}}},
		{name: "pong", call: "Process", about: "The answer, with the same nonce.", message: &pluginpb.PluginFrame{Pong: &pluginpb.Pong{Nonce: 7}}},
		{name: "cancel-and-ping", call: "Process", about: "A frame may have several parts.",
			message: &pluginpb.HostFrame{Cancel: &pluginpb.Cancel{Seqs: []uint64{6}}, Ping: &pluginpb.Ping{Nonce: 8}}},
		{name: "credit", call: "Process", about: "Send me at most 32 envelopes at a time from now on.",
			message: &pluginpb.PluginFrame{Credit: &pluginpb.Credit{InFlight: 32}}},
		{name: "credit-none", call: "Process", about: "Send me nothing for now. The part is there and empty: two bytes.",
			message: &pluginpb.PluginFrame{Credit: &pluginpb.Credit{}}},
		{name: "outcomes", call: "Process", about: "How two envelopes ended, and that three before them were left out.",
			message: &pluginpb.HostFrame{Outcomes: outcomes("")}},
		{name: "outcomes-unary", call: "ObserveBatch", about: "The same without a frame around it.", message: outcomes("office-log-3")},
		{name: "observed", call: "Process", about: "The outcomes of this seq have been dealt with.",
			message: &pluginpb.PluginFrame{Observed: &pluginpb.Observed{Seq: 1}}},
		{name: "observed-unary", call: "ObserveBatch", about: "The same without a frame around it.", message: &pluginpb.Observed{Seq: 1}},
		{name: "logs", call: "Process", about: "Two records. A level may be below zero, and is then ten bytes on the wire.",
			message: &pluginpb.PluginFrame{Logs: []*pluginpb.LogRecord{
				{Time: 1785754800_000000000, Level: 4, Message: "the calendar is stale", Attributes: []*pluginpb.Attribute{{Key: "days", Value: "3"}}},
				{Time: 1785754800_000000001, Level: -4, Message: "looked again"},
			}}},
		{name: "logs-traced", call: "Process", about: "A record about an envelope that is sampled, with the span of spans in which it was logged.",
			message: &pluginpb.PluginFrame{Logs: []*pluginpb.LogRecord{
				{Time: 1785754800_000000002, Message: "the calendar was read", TraceId: traceID(), SpanId: bytes.Repeat([]byte{0xd2}, 8)},
			}}},
		{name: "spans", call: "Process", about: "The plugin's work for the first envelope of batch-all-capabilities: its stage, and a look-up below that. One span before these found no room.",
			message: &pluginpb.PluginFrame{Spans: spans()}},
		{name: "verdicts-traced", call: "Process", about: "The answer to batch-all-capabilities, with how long it took.",
			message: &pluginpb.PluginFrame{Verdicts: &pluginpb.Verdicts{Seq: 2, Count: 2, DefaultVerdict: 1, JudgedNanos: 1_500_000}}},
		{name: "verdicts-traced-unary", call: "ProcessBatch", about: "At the simple level spans come with the verdicts.",
			message: &pluginpb.Verdicts{Seq: 3, Count: 1, DefaultVerdict: 1, JudgedNanos: 1_500_000, Spans: &pluginpb.Spans{Spans: spans().Spans[1:]}}},

		{name: "drain-request", call: "Drain", about: "Finish one instance within a second.",
			message: &pluginpb.DrainRequest{Instance: "office-hours-1", DeadlineNanos: 1_000_000_000}},
		{name: "drain-request-all", call: "Drain", about: "Finish everything: the process ends next.", message: &pluginpb.DrainRequest{DeadlineNanos: 10_000_000_000}},
		{name: "drain-response", call: "Drain", about: "Two envelopes or outcomes were given up.", message: &pluginpb.DrainResponse{Unfinished: 2}},
	}
}

// key is 32 bytes that are all the same, so that they are found in the hex.
func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// bare is a message to one recipient as every plugin sees it.
func bare() *pluginpb.Envelope {
	return &pluginpb.Envelope{
		Kind: "send", Mesh: "mesh-1", Conn: 7, Priority: 1, Size: 512, Arrived: 1785754800_000000000, MessageId: "message-1",
		Target: 1, TargetKey: key(0xb0), Member: key(0xa1), Session: key(0xa2),
	}
}

// asked is who asks for a note, behind the whole chain.
func asked() *pluginpb.Envelope {
	return &pluginpb.Envelope{
		Kind: "note_put", Mesh: "mesh-1", Conn: 7, Priority: 1, Size: 52, Arrived: 1785754800_000000002, Member: key(0xa1), Session: key(0xa2),
	}
}

// bareHello is a hello as every plugin sees it. Nobody has proved who sends it.
func bareHello() *pluginpb.Envelope {
	return &pluginpb.Envelope{Kind: "session_hello", Mesh: "mesh-1", Conn: 8, Priority: 1, Size: 300, Arrived: 1785754800_000000001}
}

// full is a message to a group with everything that can be granted.
func full() *pluginpb.Envelope {
	ciphertext := []byte("sealed")
	hash := sha256.Sum256(ciphertext)
	return &pluginpb.Envelope{
		Kind: "send", Mesh: "mesh-1", Conn: 7, Size: 512, Arrived: 1785754800_000000000, MessageId: "message-2",
		Target: 2, TargetName: "ops/eu", Member: key(0xa1), Session: key(0xa2),
		MemberId: "member-1", Name: "ada", Remote: "192.0.2.7",
		Attributes:  []*pluginpb.Attribute{{Key: "seen", Value: "yes"}, {Key: "screen.score", Value: "0.2"}},
		Audience:    []*pluginpb.Recipient{{Member: key(0xb0), Session: key(0xb1)}, {Member: key(0xc0)}},
		PayloadHash: hash[:], Payload: ciphertext, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
}

// fullHello is a hello with the frame as it came.
func fullHello() *pluginpb.Envelope {
	e := bareHello()
	e.Remote, e.Credential = "192.0.2.8", []byte(`{"type":"session_hello"}`)
	return e
}

func outcomes(instance string) *pluginpb.Outcomes {
	return &pluginpb.Outcomes{Seq: 1, Instance: instance, Missed: 3, Outcomes: []*pluginpb.Outcome{
		{Envelope: bare(), Verdict: 4, Stage: "route", TookNanos: 80_000, SettledNanos: 900_000, Recipients: 1, Pushed: 1, Queued: 1},
		{Envelope: bareHello(), Verdict: 2, Reason: "bad_signature", Stage: "auth", TookNanos: 120_000},
	}}
}

// traceID is the trace of full.
func traceID() []byte {
	return []byte{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c}
}

// spans are what a plugin did for full: the inner one ended first.
func spans() *pluginpb.Spans {
	stage, lookup := bytes.Repeat([]byte{0xd1}, 8), bytes.Repeat([]byte{0xd2}, 8)
	return &pluginpb.Spans{Missed: 1, Spans: []*pluginpb.Span{
		{
			TraceId: traceID(), SpanId: lookup, ParentSpanId: stage, Name: "look up", Kind: 3,
			StartNanos: 1785754800_000200000, EndNanos: 1785754800_001200000,
			Attributes: []*pluginpb.SpanAttribute{
				{Key: "calendar", Value: &pluginpb.SpanAttribute_Text{Text: "office"}},
				{Key: "cached", Value: &pluginpb.SpanAttribute_Truth{Truth: true}},
				{Key: "days", Value: &pluginpb.SpanAttribute_Whole{Whole: 7}},
				{Key: "share", Value: &pluginpb.SpanAttribute_Number{Number: 0.5}},
			},
			Events: []*pluginpb.SpanEvent{{
				TimeNanos: 1785754800_000300000, Name: "tried again",
				Attributes: []*pluginpb.SpanAttribute{{Key: "after_ms", Value: &pluginpb.SpanAttribute_Whole{Whole: 50}}},
			}},
			Status: 2, StatusText: "timeout", Scope: "office-hours", DroppedAttributes: 2, DroppedEvents: 1,
		},
		{
			TraceId: traceID(), SpanId: stage, ParentSpanId: []byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}, Name: "plugin/office-hours", Kind: 2,
			StartNanos: 1785754800_000100000, EndNanos: 1785754800_001300000,
			Attributes: []*pluginpb.SpanAttribute{{Key: "claudemesh.verdict", Value: &pluginpb.SpanAttribute_Text{Text: "continue"}}},
			Scope:      "github.com/claudemesh/broker/sdk/plugin",
		},
	}}
}
