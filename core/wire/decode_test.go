package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
)

// zeroOf returns a new pointer to the struct that v points to or is.
func zeroOf(v Frame) any {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.New(t).Interface()
}

func TestDecodeRefuses(t *testing.T) {
	const want = `targetSpec":"*","nonce":"","ciphertext":""`
	tests := []struct {
		name    string
		into    Frame
		frame   string
		code    sdk.Reason
		field   string
		message string
	}{
		{
			"a priority of another name",
			Send{},
			`{"priority":"urgent","` + want + `}`,
			sdk.ReasonInvalid, "priority", `priority: want "now", "next" or "low"`,
		},
		{
			"a priority that is no text",
			Send{},
			`{"priority":1,"` + want + `}`,
			sdk.ReasonInvalid, "priority", `priority: want "now", "next" or "low"`,
		},
		{
			"a send without target",
			Send{},
			`{"nonce":"","ciphertext":""}`,
			sdk.ReasonInvalid, "targetSpec", "targetSpec: is required: want a string",
		},
		{
			"a null nonce",
			Send{},
			`{"targetSpec":"*","nonce":null,"ciphertext":""}`,
			sdk.ReasonInvalid, "nonce", "nonce: is required: want a string",
		},
		{
			"a body that is no text",
			Send{},
			`{"targetSpec":"*","nonce":"","ciphertext":{"a":"b"}}`,
			sdk.ReasonInvalid, "ciphertext", "ciphertext: want a string",
		},
		{
			"a long client_message_id",
			Send{},
			`{"client_message_id":"` + strings.Repeat("x", 257) + `","` + want + `}`,
			sdk.ReasonInvalid, "client_message_id", "client_message_id: at most 256 bytes",
		},
		{
			"a long id",
			Send{},
			`{"id":[` + strings.Repeat("1,", 200) + `1],"` + want + `}`,
			sdk.ReasonInvalid, "id", "id: at most 256 bytes of JSON",
		},
		{
			"mentions that are no texts",
			Send{},
			`{"mentions":["a",2],"` + want + `}`,
			sdk.ReasonInvalid, "mentions[1]", "mentions[1]: want a string",
		},
		{
			"a long mention",
			Send{},
			`{"mentions":["a","` + strings.Repeat("x", 257) + `"],"` + want + `}`,
			sdk.ReasonInvalid, "mentions[1]", "mentions[1]: at most 256 bytes",
		},
		{
			"many mentions",
			Send{},
			`{"mentions":[` + strings.Repeat(`"a",`, 64) + `"a"],"` + want + `}`,
			sdk.ReasonInvalid, "mentions", "mentions: at most 64 entries",
		},
		{
			"a fraction for a whole number",
			Send{},
			`{"bodyVersion":1.5,"` + want + `}`,
			sdk.ReasonInvalid, "bodyVersion", "bodyVersion: want a whole number",
		},
		{
			"a name that comes twice",
			Send{},
			`{"nonce":"a","` + want + `}`,
			sdk.ReasonMalformed, "", `the name "nonce" comes twice in one object`,
		},
		{
			"an unknown name that comes twice",
			Send{},
			`{"x":1,"x":2,"` + want + `}`,
			sdk.ReasonMalformed, "", `the name "x" comes twice in one object`,
		},
		{
			"a name that comes twice far inside",
			Send{},
			`{"x":{"y":[{"z":1,"z":2}]},"` + want + `}`,
			sdk.ReasonMalformed, "", `the name "z" comes twice in one object`,
		},
		{
			"one name written in two ways",
			Send{},
			`{"\u006eonce":"a","` + want + `}`,
			sdk.ReasonMalformed, "", `the name "nonce" comes twice in one object`,
		},
		{
			"bytes that are no UTF-8",
			Send{},
			"{\"replyToId\":\"\xc0\",\"" + want + "}",
			sdk.ReasonMalformed, "", "not valid UTF-8",
		},
		{
			"bytes that are no UTF-8 in a field that nobody reads",
			Send{},
			"{\"x\":\"\xc0\",\"" + want + "}",
			sdk.ReasonMalformed, "", "not valid UTF-8",
		},
		{
			"half a surrogate pair",
			Send{},
			`{"replyToId":"\ud800","` + want + `}`,
			sdk.ReasonMalformed, "", "not valid JSON at byte 14",
		},
		{
			"a control character in a text",
			Send{},
			"{\"replyToId\":\"a\nb\",\"" + want + "}",
			sdk.ReasonMalformed, "", "not valid JSON at byte 15",
		},
		{
			"what follows the object",
			Send{},
			`{"` + want + `}x`,
			sdk.ReasonMalformed, "", "not valid JSON at byte 45",
		},
		{
			"a second object",
			Send{},
			`{"` + want + `}{}`,
			sdk.ReasonMalformed, "", "not valid JSON at byte 45",
		},
		{
			"brackets that do not match",
			Send{},
			`{"x":[}],"` + want + `}`,
			sdk.ReasonMalformed, "", "not valid JSON at byte 7",
		},
		{
			"a number with a leading zero",
			Send{},
			`{"x":01,"` + want + `}`,
			sdk.ReasonMalformed, "", "not valid JSON at byte 6",
		},
		{
			"a list",
			Send{},
			`[]`,
			sdk.ReasonMalformed, "", "want a JSON object",
		},
		{
			"null",
			SetStatus{},
			`null`,
			sdk.ReasonMalformed, "", "want a JSON object",
		},
		{
			"deep nesting in a field that nobody reads",
			SetStatus{},
			`{"status":"idle","x":` + strings.Repeat(`{"a":`, 32) + `1` + strings.Repeat("}", 33),
			sdk.ReasonMalformed, "", "nested too deep: at most 32 objects and lists inside one another",
		},

		{
			"groups in one text",
			Hello{},
			`{"groups":"ops"}`,
			sdk.ReasonInvalid, "groups", `groups: want a list like [{"name":"ops","role":"lead"}]`,
		},
		{
			"groups without names",
			Hello{},
			`{"groups":[{"name":"ops"},{"role":"lead"}]}`,
			sdk.ReasonInvalid, "groups[1].name", `groups[1].name: ` + sdk.ErrGroup.Error(),
		},
		{
			"groups as texts",
			SessionHello{},
			`{"groups":["ops"]}`,
			sdk.ReasonInvalid, "groups[0]", `groups[0]: want an object like {"name":"ops","role":"lead"}`,
		},
		{
			"a group's name that is no text",
			Hello{},
			`{"groups":[{"name":5}]}`,
			sdk.ReasonInvalid, "groups[0].name", `groups[0].name: want a string`,
		},
		{
			"a group's name with spaces around it",
			Hello{},
			`{"groups":[{"name":" ops"}]}`,
			sdk.ReasonInvalid, "groups[0].name", `groups[0].name: ` + sdk.ErrGroup.Error(),
		},
		{
			"a name for everybody as a group",
			JoinGroup{},
			`{"name":"all"}`,
			sdk.ReasonInvalid, "name", "name: " + sdk.ErrGroup.Error(),
		},
		{
			"a group without a name",
			JoinGroup{},
			`{"role":"x"}`,
			sdk.ReasonInvalid, "name", "name: is required: want a string",
		},
		{
			"a process id that is no number",
			Hello{},
			`{"pid":"x"}`,
			sdk.ReasonInvalid, "pid", "pid: want a whole number",
		},
		{
			"a process id beyond 64 bits",
			Hello{},
			`{"pid":99999999999999999999}`,
			sdk.ReasonInvalid, "pid", "pid: want a whole number",
		},
		{
			"an attestation that is no object",
			SessionHello{},
			`{"parentAttestation":"x"}`,
			sdk.ReasonInvalid, "parentAttestation", "parentAttestation: want an object",
		},
		{
			"a field of an attestation",
			SessionHello{},
			`{"parentAttestation":{"signature":1}}`,
			sdk.ReasonInvalid, "parentAttestation.signature", "parentAttestation.signature: want a string",
		},
		{
			"a long field of an attestation",
			SessionHello{},
			`{"parentAttestation":{"signature":"` + strings.Repeat("a", 1025) + `"}}`,
			sdk.ReasonInvalid, "parentAttestation.signature", "parentAttestation.signature: at most 1024 bytes",
		},

		{
			"a status of another name",
			SetStatus{},
			`{"status":"busy"}`,
			sdk.ReasonInvalid, "status", `status: want "idle", "working" or "dnd"`,
		},
		{
			"an empty status",
			SetStatus{},
			`{"status":""}`,
			sdk.ReasonInvalid, "status", `status: want "idle", "working" or "dnd"`,
		},
		{
			"no status",
			SetStatus{},
			`{"Status":"idle"}`,
			sdk.ReasonInvalid, "status", `status: is required: want "idle", "working" or "dnd"`,
		},
		{
			"visible that is neither",
			SetVisible{},
			`{"visible":1}`,
			sdk.ReasonInvalid, "visible", "visible: want true or false",
		},
		{
			"a long summary",
			SetSummary{},
			`{"summary":"` + strings.Repeat("x", 8193) + `"}`,
			sdk.ReasonInvalid, "summary", "summary: at most 8192 bytes",
		},
		{
			"a title that is no text",
			SetProfile{},
			`{"title":5}`,
			sdk.ReasonInvalid, "title", "title: want a string",
		},
		{
			"a long title",
			SetProfile{},
			`{"title":"` + strings.Repeat("x", 257) + `"}`,
			sdk.ReasonInvalid, "title", "title: at most 256 bytes",
		},
		{
			"a capability that is no text",
			SetProfile{},
			`{"capabilities":["a",null,5]}`,
			sdk.ReasonInvalid, "capabilities[2]", "capabilities[2]: want a string",
		},
		{
			"a long capability",
			SetProfile{},
			`{"capabilities":["` + strings.Repeat("x", 257) + `"]}`,
			sdk.ReasonInvalid, "capabilities[0]", "capabilities[0]: at most 256 bytes",
		},
		{
			"stats that are no numbers",
			SetStats{},
			`{"stats":{"toolCalls":"3"}}`,
			sdk.ReasonInvalid, "stats.toolCalls", "stats.toolCalls: want a number",
		},
		{
			"a number too large for a double",
			SetStats{},
			`{"stats":{"toolCalls":1e999}}`,
			sdk.ReasonInvalid, "stats.toolCalls", "stats.toolCalls: want a number",
		},
		{
			"a key that is none",
			PeersList{},
			`{"peers":[{"pubkey":"zz"}]}`,
			sdk.ReasonInvalid, "peers[0].pubkey", "peers[0].pubkey: want a key of 64 hex digits",
		},
		{
			"a time that is none",
			PeersList{},
			`{"peers":[{"connectedAt":"noon"}]}`,
			sdk.ReasonInvalid, "peers[0].connectedAt", `peers[0].connectedAt: want a time like "2026-01-02T15:04:05.000Z"`,
		},
		{
			"a sender that is none",
			Push{},
			`{"senderPubkey":"zz"}`,
			sdk.ReasonInvalid, "senderPubkey", "senderPubkey: want a key of 64 hex digits",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := DecodeInto([]byte(tt.frame), zeroOf(tt.into))
			got, _ := errors.AsType[*DecodeError](err)
			want := &DecodeError{
				Code: tt.code, Field: tt.field, Message: tt.message, Missing: strings.Contains(tt.message, ": is required: "),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeErrorsAreShort(t *testing.T) {
	long := strings.Repeat("ä€😀", 100)
	frame := `{"` + long + `":1,"` + long + `":2}`
	_, err := Decode[Send]([]byte(frame))
	if err == nil {
		t.Fatal("got no error")
	}
	got := err.Error()
	if len(got) > maxMessage || !utf8.ValidString(got) {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	if repeated := strings.Count(got, "ä"); repeated*len("ä€😀") > 64 {
		t.Errorf("got %d repetitions of the input: %q", repeated, got)
	}
	_, err = Decode[Send]([]byte("{\"a\\u0007\\u001b[1m\":1,\"a\\u0007\\u001b[1m\":2}"))
	if want := `the name "a??[1m" comes twice in one object`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDecodeKeeps(t *testing.T) {
	title, none := "lead", []string{}
	tests := []struct {
		name  string
		frame string
		want  Frame
	}{
		{
			"a send of all fields", `{"type":"send","_reqId":1,"id":{"n":[1]},"targetSpec":"#t","priority":"low","nonce":"n","ciphertext":"cä\n","client_message_id":"c","request_fingerprint":"f","replyToId":"r","mentions":["a","b"],"bodyVersion":2,"traceparent":"tp","other":[{}]}`,
			&Send{
				ID: jsontext.Value(`{"n":[1]}`), TargetSpec: "#t", Priority: sdk.PriorityLow, Nonce: "n", Ciphertext: "cä\n", ClientMessageID: "c",
				RequestFingerprint: "f", ReplyToID: "r", Mentions: []string{"a", "b"}, BodyVersion: 2, Traceparent: "tp",
			},
		},
		{
			"a send of nothing but the necessary", `{"targetSpec":"*","nonce":"","ciphertext":""}`,
			&Send{TargetSpec: "*", Priority: sdk.PriorityNext},
		},
		{
			"null as the default priority", `{"targetSpec":"*","nonce":"","ciphertext":"","priority":null}`,
			&Send{TargetSpec: "*", Priority: sdk.PriorityNext},
		},
		{
			"the timestamp's text and null as absent", `{"timestamp": 1.70e12 ,"sessionPubkey":null,"groups":null,"protocolVersion":"x","capabilities":["a"]}`,
			&Hello{Timestamp: jsontext.Value("1.70e12"), ProtocolVersion: jsontext.Value(`"x"`), Capabilities: jsontext.Value(`["a"]`)},
		},
		{
			"a timestamp that is no number", `{"timestamp":"1"}`,
			&Hello{Timestamp: jsontext.Value(`"1"`)},
		},
		{
			"groups with and without roles", `{"groups":[{"name":"a/b","role":"lead"},{"name":"c","x":1}]}`,
			&Hello{Groups: []Group{{"a/b", "lead"}, {"c", ""}}},
		},
		{
			"absent, null and given profile fields apart", `{"title":"lead","bio":null,"capabilities":[]}`,
			&SetProfile{Title: Patch[string]{true, &title}, Bio: Clear[string](), Capabilities: Patch[[]string]{true, &none}},
		},
		{"an empty summary", `{}`, &SetSummary{}},
		{"a client_ack with one id", `{"type":"client_ack","clientMessageId":"c"}`, &ClientAck{ClientMessageID: "c"}},
		{"a client_ack with null", `{"clientMessageId":null,"brokerMessageId":"b"}`, &ClientAck{BrokerMessageID: "b"}},
		{"an ack whose id is a number", `{"type":"ack","id":4,"messageId":"","queued":false,"error":"no"}`, &Ack{ID: jsontext.Value("4"), Error: "no"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := zeroOf(tt.want)
			frame := []byte(tt.frame)
			if err := DecodeInto(frame, got); err != nil {
				t.Fatal(err)
			}
			clear(frame) // the buffer is used again
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeIntoOverwrites(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		v     any
		want  any
	}{
		{
			"fast", `{"targetSpec":"*","nonce":"","ciphertext":"b"}`, &Send{ReplyToID: "old", BodyVersion: 2},
			&Send{TargetSpec: "*", Priority: sdk.PriorityNext, Ciphertext: "b"},
		},
		{
			"strict", `{"targetSpec":"*","nonce":"","ciphertext":"b","x":1}`, &Send{ReplyToID: "old", BodyVersion: 2},
			&Send{TargetSpec: "*", Priority: sdk.PriorityNext, Ciphertext: "b"},
		},
		{"fast client_ack", `{"brokerMessageId":"b"}`, &ClientAck{ClientMessageID: "old"}, &ClientAck{BrokerMessageID: "b"}},
		{"strict summary", `{}`, &SetSummary{Summary: "old"}, &SetSummary{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := DecodeInto([]byte(tt.frame), tt.v); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.v); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
