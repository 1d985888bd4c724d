package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// Keys of the tests, and their form on the wire.
var (
	keyA, keyB = sdk.Key{0xaa, 31: 0x01}, sdk.Key{0xbb, 31: 0x02}
	hexA, hexB = keyA.String(), keyB.String()
)

var noon = time.Date(2026, 8, 1, 14, 0, 0, 123999999, time.FixedZone("CEST", 2*60*60))

const noonText = "2026-08-01T12:00:00.123Z"

func TestAppend(t *testing.T) {
	yes, summary, broken := true, "tests", int64(7)
	in := 3.0
	tests := []struct {
		name  string
		frame Frame
		reqID string
		want  string
	}{
		{
			"an ack of a message",
			Ack{ID: jsontext.Value(`"c1"`), MessageID: "q1", Queued: true},
			"",
			`{"type":"ack","id":"c1","messageId":"q1","queued":true}`,
		},
		{
			"an ack that refuses", &Ack{ID: jsontext.Value(`17`), Error: "blocked: no \"dm\""}, "",
			`{"type":"ack","id":17,"messageId":"","queued":false,"error":"blocked: no \"dm\""}`,
		},
		{
			"an ack of a request without id",
			Ack{},
			`"r1"`,
			`{"type":"ack","_reqId":"r1","id":"","messageId":"","queued":false}`,
		},
		{
			"the smallest push", &Push{MessageID: "q1", MeshID: "m", SenderPubkey: OriginOf(keyA), Priority: sdk.PriorityNext, Nonce: "bg==", Ciphertext: "Yw==", CreatedAt: noon}, "",
			`{"type":"push","messageId":"q1","meshId":"m","senderPubkey":"` + hexA + `","priority":"next","nonce":"bg==","ciphertext":"Yw==","createdAt":"` + noonText + `"}`,
		},
		{
			"the largest push", &Push{
				MessageID: "q1", MeshID: "m", SenderPubkey: OriginOf(keyA), Priority: sdk.PriorityNow, Nonce: "", Ciphertext: "ä\u2028\x01", CreatedAt: noon,
				ClientMessageID: "c1", RequestFingerprint: "f", SenderMemberPubkey: keyB, SenderMemberID: "b", SenderName: "Bö \"b\"", ReplyToID: "r", Topic: "t", Subtype: "reminder", Traceparent: "tp",
			}, "",
			`{"type":"push","messageId":"q1","meshId":"m","senderPubkey":"` + hexA + `","priority":"now","nonce":"","ciphertext":"ä` + "\u2028" + `\u0001","createdAt":"` + noonText +
				`","client_message_id":"c1","request_fingerprint":"f","senderMemberPubkey":"` + hexB + `","senderMemberId":"b","senderName":"Bö \"b\"","replyToId":"r","topic":"t","subtype":"reminder","traceparent":"tp"}`,
		},
		{
			"a peer's arrival", &Event{
				MessageID: "u", MeshID: "m", Name: EventPeerJoined, CreatedAt: noon,
				Data: PeerEvent{Name: "B", DisplayName: "B", Pubkey: keyB, Groups: []Group{}},
			}, "",
			`{"type":"push","subtype":"system","event":"peer_joined","eventData":{"name":"B","displayName":"B","pubkey":"` + hexB + `","groups":[]},"messageId":"u","meshId":"m","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"","createdAt":"` + noonText + `"}`,
		},
		{
			"a peer's return", &Event{
				MessageID: "u", MeshID: "m", Name: EventPeerReturned, CreatedAt: noon,
				Data: PeerEvent{Name: "B", DisplayName: "B", Pubkey: keyB, Groups: []Group{{"ops", "lead"}, {"dev", ""}}, LastSeenAt: noon, Summary: "s"},
			}, "",
			`{"type":"push","subtype":"system","event":"peer_returned","eventData":{"name":"B","displayName":"B","pubkey":"` + hexB + `","groups":[{"name":"ops","role":"lead"},{"name":"dev"}],"lastSeenAt":"` + noonText + `","summary":"s"},"messageId":"u","meshId":"m","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"","createdAt":"` + noonText + `"}`,
		},
		{
			"a peer's end", &Event{MessageID: "u", MeshID: "m", Name: EventPeerLeft, CreatedAt: noon, Data: PeerNews("B", keyB)}, "",
			`{"type":"push","subtype":"system","event":"peer_left","eventData":{"name":"B","displayName":"B","pubkey":"` + hexB + `"},"messageId":"u","meshId":"m","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"","createdAt":"` + noonText + `"}`,
		},
		{
			"urgent news without details", &Event{MessageID: "u", MeshID: "m", Name: "x", CreatedAt: noon, Urgent: true}, "",
			`{"type":"push","subtype":"system","event":"x","eventData":{},"messageId":"u","meshId":"m","senderPubkey":"system","priority":"now","nonce":"","ciphertext":"","createdAt":"` + noonText + `"}`,
		},
		{
			"a client_ack", &ClientAck{ClientMessageID: "c1", BrokerMessageID: "q1"}, "",
			`{"type":"client_ack","clientMessageId":"c1","brokerMessageId":"q1"}`,
		},
		{
			"a send", &Send{ID: jsontext.Value(`"c1"`), TargetSpec: "@ops", Priority: sdk.PriorityLow, Nonce: "n", Ciphertext: "c", Mentions: []string{"a", "b"}, BodyVersion: 2}, "",
			`{"type":"send","id":"c1","targetSpec":"@ops","priority":"low","nonce":"n","ciphertext":"c","mentions":["a","b"],"bodyVersion":2}`,
		},

		{
			"a hello_ack of a session that came back",
			HelloAck{PresenceID: "p", MemberDisplayName: "B"},
			"",
			`{"type":"hello_ack","presenceId":"p","memberDisplayName":"B"}`,
		},
		{
			"a hello_ack of a new member",
			HelloAck{PresenceID: "p", MemberDisplayName: "B", MemberProfile: &MemberProfile{MessageMode: "push"}, MeshPolicy: &MeshPolicy{SelfEditable{DisplayName: true}}, Services: []Service{}},
			"",
			`{"type":"hello_ack","presenceId":"p","memberDisplayName":"B","memberProfile":{"roleTag":null,"groups":[],"messageMode":"push"},"meshPolicy":{"selfEditable":{"displayName":true,"roleTag":false,"groups":false,"messageMode":false}},"services":[]}`,
		},
		{
			"a hello_ack of a member that returns",
			HelloAck{PresenceID: "p", MemberDisplayName: "B", Restored: true, LastSummary: "s", LastSeenAt: noon, RestoredGroups: []Group{{"ops", ""}}, RestoredStats: &Totals{MessagesIn: 1.5}},
			"",
			`{"type":"hello_ack","presenceId":"p","memberDisplayName":"B","restored":true,"lastSummary":"s","lastSeenAt":"` + noonText + `","restoredGroups":[{"name":"ops"}],"restoredStats":{"messagesIn":1.5,"messagesOut":0,"toolCalls":0,"errors":0}}`,
		},
		{
			"services",
			HelloAck{Services: []Service{{Name: "s", Status: "running", DeployedBy: "unknown"}}},
			"",
			`{"type":"hello_ack","presenceId":"","memberDisplayName":"","services":[{"name":"s","description":"","status":"running","tools":[],"deployed_by":"unknown"}]}`,
		},
		{"a list without peers", PeersList{}, `"pl-1"`, `{"type":"peers_list","_reqId":"pl-1","peers":[]}`},
		{
			"peers", &PeersList{Peers: []PeerRow{
				{Pubkey: keyA, MemberPubkey: keyA, DisplayName: "A", Status: "idle", SessionID: "daemon-41", ConnectedAt: noon, Cwd: "/", PeerRole: RoleControlPlane, Visible: &yes},
				{
					Pubkey: keyB, MemberPubkey: keyA, DisplayName: "B", Status: "dnd", Summary: &summary, Groups: []Group{{"ops", ""}}, SessionID: "u", ConnectedAt: noon, Cwd: "/w", Hostname: "h", PeerType: "ai", Channel: "c", Model: "m",
					PeerRole: RoleSession, Stats: &Stats{MessagesIn: &in}, Profile: Profile{Title: &summary},
				},
			}}, `{"a":1}`,
			`{"type":"peers_list","_reqId":{"a":1},"peers":[` +
				`{"pubkey":"` + hexA + `","memberPubkey":"` + hexA + `","displayName":"A","status":"idle","summary":null,"groups":[],"sessionId":"daemon-41","connectedAt":"` + noonText + `","cwd":"/","peerRole":"control-plane","visible":true},` +
				`{"pubkey":"` + hexB + `","memberPubkey":"` + hexA + `","displayName":"B","status":"dnd","summary":"tests","groups":[{"name":"ops"}],"sessionId":"u","connectedAt":"` + noonText + `","cwd":"/w","hostname":"h","peerType":"ai","channel":"c","model":"m","peerRole":"session","stats":{"messagesIn":3},"profile":{"title":"tests"}}]}`,
		},
		{"a request without fields", ListPeers{}, `"pl-1"`, `{"type":"list_peers","_reqId":"pl-1"}`},
		{"a request without anything", ListBans{}, "", `{"type":"list_bans"}`},
		{
			"a message that waits",
			MessageStatusResult{MessageID: "q1", TargetSpec: "*"},
			"",
			`{"type":"message_status_result","messageId":"q1","targetSpec":"*","delivered":false,"deliveredAt":null,"recipients":[]}`,
		},
		{
			"a message that arrived",
			MessageStatusResult{MessageID: "q1", TargetSpec: "*", Delivered: true, DeliveredAt: &noon, Recipients: []MessageRecipient{{"B", hexB, "delivered"}}},
			"",
			`{"type":"message_status_result","messageId":"q1","targetSpec":"*","delivered":true,"deliveredAt":"` + noonText + `","recipients":[{"name":"B","pubkey":"` + hexB + `","status":"delivered"}]}`,
		},
		{
			"an overview",
			MeshInfoResult{Mesh: "m", YourName: "A"},
			"",
			`{"type":"mesh_info_result","mesh":"m","peers":0,"groups":[],"stateKeys":[],"memoryCount":0,"fileCount":0,"tasks":{"open":0,"claimed":0,"done":0},"streams":[],"tables":[],"collections":[],"yourName":"A","yourGroups":[]}`,
		},
		{"a kick of nobody", KickAck{}, "", `{"type":"kick_ack","kicked":[],"affected":[]}`},
		{
			"a kick",
			KickAck{Kicked: []string{"B"}, Affected: []string{"B"}, SkippedControlPlane: []string{"D"}},
			"",
			`{"type":"kick_ack","kicked":["B"],"affected":["B"],"skipped_control_plane":["D"]}`,
		},
		{
			"bans",
			ListBansResult{[]BanRow{{"B", keyB, noon}}},
			"",
			`{"type":"list_bans_result","bans":[{"name":"B","pubkey":"` + hexB + `","revokedAt":"` + noonText + `"}]}`,
		},
		{
			"an audit page",
			AuditResult{Entries: []AuditEntry{{ID: 1, EventType: "peer_left", Actor: "B", Payload: jsontext.Value("{}"), Hash: "ff", CreatedAt: noon}}, Total: 9},
			"",
			`{"type":"audit_result","entries":[{"id":1,"eventType":"peer_left","actor":"B","payload":{},"hash":"ff","createdAt":"` + noonText + `"}],"total":9}`,
		},
		{"a good chain", AuditVerifyResult{Valid: true}, "", `{"type":"audit_verify_result","valid":true,"entries":0}`},
		{"a broken chain", AuditVerifyResult{Entries: 9, BrokenAt: &broken}, "", `{"type":"audit_verify_result","valid":false,"entries":9,"brokenAt":7}`},
		{
			"an error of a send",
			Error{Code: sdk.ReasonInvalid, Message: "no", ID: jsontext.Value(`"\u0041 b"`)},
			"",
			`{"type":"error","code":"invalid","message":"no","id":"\u0041 b"}`,
		},
		{
			"an error of a request",
			Error{Code: sdk.ReasonNotFound, Message: "no"},
			"null",
			`{"type":"error","_reqId":null,"code":"not_found","message":"no"}`,
		},
		{
			"a profile that is cleared in part",
			SetProfile{Avatar: Set("x"), Bio: Clear[string]()},
			"",
			`{"type":"set_profile","avatar":"x","bio":null}`,
		},
		{
			"text that is no UTF-8",
			Error{Code: sdk.ReasonInternal, Message: "a\xffb"},
			"",
			`{"type":"error","code":"internal","message":"a` + "\ufffd" + `b"}`,
		},
		{
			"text of an ack that is no UTF-8",
			Ack{Error: "a\xffb"},
			"",
			`{"type":"ack","id":"","messageId":"","queued":false,"error":"a` + "\ufffd" + `b"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendReply([]byte("before"), tt.frame, jsontext.Value(tt.reqID))
			if err != nil {
				t.Fatal(err)
			}
			if want := "before" + tt.want; string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if frame := got[len("before"):]; !jsontext.Value(frame).IsValid() {
				t.Errorf("not valid JSON: %s", frame)
			}
		})
	}
}

func TestAppendGivesBackDstOnError(t *testing.T) {
	bad := []Frame{
		AuditResult{Entries: []AuditEntry{{Payload: jsontext.Value("{")}}},
		&Event{Name: "x", Data: func() {}},
	}
	for _, frame := range bad {
		got, err := Append([]byte("before"), frame)
		if err == nil || string(got) != "before" {
			t.Errorf("%T: got %q, %v, want the error and what was before", frame, got, err)
		}
	}
	got, err := AppendEvent([]byte("before"), &Event{Data: func() {}})
	if err == nil || string(got) != "before" {
		t.Errorf("got %q, %v, want the error and what was before", got, err)
	}
}

// TestHotWritersAgree holds the writers by hand to the general one.
func TestHotWritersAgree(t *testing.T) {
	push := newPush(64)
	push.EventData, push.Event, push.BodyVersion = jsontext.Value(`{"a":1}`), "e", 2
	push.ReplyToID, push.Topic, push.Subtype, push.Traceparent = "r", "t\n", "reminder", "tp"
	push.Mentions = []sdk.Key{keyA, keyB}
	send := newSend(64)
	send.Mentions, send.BodyVersion = []string{"ä", "b\t"}, 2
	send.ReplyToID, send.Traceparent = "r", "tp"
	frames := []struct {
		name string
		got  []byte
		want Frame
	}{
		{"full push", AppendPush(nil, push), push},
		{"empty push", AppendPush(nil, &Push{}), &Push{}},
		{"full send", AppendSend(nil, send), send},
		{"empty send", AppendSend(nil, &Send{}), &Send{}},
		{"full ack", AppendAck(nil, &Ack{send.ID, "q", true, "e"}), &Ack{send.ID, "q", true, "e"}},
		{"full client_ack", AppendClientAck(nil, &ClientAck{"c", "b"}), &ClientAck{"c", "b"}},
		{"empty client_ack", AppendClientAck(nil, &ClientAck{}), &ClientAck{}},
	}
	for _, f := range frames {
		t.Run(f.name, func(t *testing.T) {
			want, err := appendMembers([]byte(`{"type":"`+f.want.FrameType()+`"`), f.want)
			if err != nil {
				t.Fatal(err)
			}
			if want = append(want, '}'); !bytes.Equal(f.got, want) {
				t.Errorf("got  %s\nwant %s", f.got, want)
			}
			full := strings.HasPrefix(f.name, "full") && f.want.FrameType() != "ack"
			if full && hasZeroField(f.want) {
				t.Errorf("%s leaves a field out", f.name)
			}
		})
	}
}

func hasZeroField(v any) bool {
	for _, field := range reflect.ValueOf(v).Elem().Fields() {
		if field.IsZero() {
			return true
		}
	}
	return false
}

func TestHotWritersAllocateNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	push, send := newPush(512), newSend(512)
	ack, receipt := &Ack{ID: send.ID, MessageID: push.MessageID, Queued: true}, &ClientAck{"c", "b"}
	writers := []struct {
		name  string
		write func()
	}{
		{"ack", func() { AppendAck(dst, ack) }},
		{"push", func() { AppendPush(dst, push) }},
		{"send", func() { AppendSend(dst, send) }},
		{"client_ack", func() { AppendClientAck(dst, receipt) }},
	}
	for _, w := range writers {
		if got := testing.AllocsPerRun(100, w.write); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", w.name, got)
		}
	}
}

func TestHotReadersAllocateLittle(t *testing.T) {
	var send Send
	var receipt ClientAck
	sendBytes, receiptBytes := sendFrame(512), AppendClientAck(nil, &ClientAck{"c", "b"})
	tests := []struct {
		name  string
		limit float64
		read  func() error
	}{
		{"send into a struct", 3, func() error { return DecodeInto(sendBytes, &send) }},
		{"client_ack into a struct", 1, func() error { return DecodeInto(receiptBytes, &receipt) }},
		{"new send", 4, func() error { _, err := Decode[Send](sendBytes); return err }},
	}
	for _, tt := range tests {
		got := testing.AllocsPerRun(100, func() {
			if err := tt.read(); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.limit {
			t.Errorf("%s: got %v allocations, want at most %v", tt.name, got, tt.limit)
		}
	}
}

func TestAppendTime(t *testing.T) {
	tests := []struct {
		name string
		at   time.Time
		want string
	}{
		{"cuts below a millisecond and moves to UTC", noon, noonText},
		{"prints three zeros", time.Unix(0, 0), "1970-01-01T00:00:00.000Z"},
		{"prints the zero time", time.Time{}, "0001-01-01T00:00:00.000Z"},
		{"prints a year of five digits", time.Date(12026, 1, 2, 3, 4, 5, 6e6, time.UTC), "12026-01-02T03:04:05.006Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendTime(nil, tt.at)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAppendTimeAgreesWithTheLibrary(t *testing.T) {
	const step = 33*24*time.Hour + 7*time.Hour + 11*time.Minute + 13*time.Second + 123456789
	for at := time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2100; at = at.Add(step) {
		got, want := string(AppendTime(nil, at)), at.Format(timeLayout)
		if got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
