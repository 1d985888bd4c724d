package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
)

// TestTranscript plays the smallest complete exchange between a daemon's member
// socket (M) and a session (S). Lines with > are read, lines with < are
// written, each exactly as the newest peers know them, apart from displayName
// beside name in events.
func TestTranscript(t *testing.T) {
	session := sdk.Key{0xb5, 31: 0x05}
	hexS := session.String()
	print64 := strings.Repeat("f0", 32)
	at := time.Date(2026, 6, 14, 10, 0, 0, 5e6, time.UTC)
	const stamp = "2026-06-14T10:00:00.005Z"
	fill := strings.NewReplacer("<A>", hexA, "<B>", hexB, "<Bs>", hexS, "<print>", print64, "<at>", stamp).Replace
	yes := true

	steps := []struct {
		line  string
		reqID string
		frame Frame
	}{
		{
			`M> {"type":"hello","meshId":"m","memberId":"a","pubkey":"<A>","sessionId":"daemon-41","pid":41,"cwd":"/","hostname":"h","peerType":"ai","channel":"claudemesh-daemon","timestamp":1,"signature":"5e"}`, "",
			&Hello{
				MeshID: "m", MemberID: "a", Pubkey: hexA, SessionID: "daemon-41", Pid: 41, Cwd: "/", Hostname: "h", PeerType: "ai", Channel: "claudemesh-daemon",
				Timestamp: jsontext.Value("1"), Signature: "5e",
			},
		},
		{
			`M< {"type":"hello_ack","presenceId":"p1","memberDisplayName":"A","memberProfile":{"roleTag":null,"groups":[],"messageMode":"push"}}`, "",
			&HelloAck{PresenceID: "p1", MemberDisplayName: "A", MemberProfile: &MemberProfile{Groups: []Group{}, MessageMode: "push"}},
		},
		{
			`S> {"type":"session_hello","meshId":"m","parentMemberId":"b","parentMemberPubkey":"<B>","sessionPubkey":"<Bs>","parentAttestation":{"sessionPubkey":"<Bs>","parentMemberPubkey":"<B>","expiresAt":2,"signature":"a7"},"displayName":"B","sessionId":"u1","pid":7,"cwd":"/w","hostname":"h2","peerType":"ai","channel":"claudemesh-session","timestamp":1,"signature":"5e"}`, "",
			&SessionHello{
				MeshID: "m", ParentMemberID: "b", ParentMemberPubkey: hexB, SessionPubkey: hexS,
				ParentAttestation: &Attestation{SessionPubkey: hexS, ParentMemberPubkey: hexB, ExpiresAt: jsontext.Value("2"), Signature: "a7"},
				DisplayName:       "B", SessionID: "u1", Pid: 7, Cwd: "/w", Hostname: "h2", PeerType: "ai", Channel: "claudemesh-session",
				Timestamp: jsontext.Value("1"), Signature: "5e",
			},
		},
		{
			`S< {"type":"hello_ack","presenceId":"p2","memberDisplayName":"B"}`, "",
			&HelloAck{PresenceID: "p2", MemberDisplayName: "B"},
		},
		{
			`M< {"type":"push","subtype":"system","event":"peer_joined","eventData":{"name":"B","displayName":"B","pubkey":"<Bs>","groups":[]},"messageId":"u2","meshId":"m","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"","createdAt":"<at>"}`, "",
			&Event{MessageID: "u2", MeshID: "m", Name: EventPeerJoined, Data: PeerEvent{Name: "B", DisplayName: "B", Pubkey: session, Groups: []Group{}}, CreatedAt: at},
		},
		{`M> {"type":"list_peers","_reqId":"pl-1"}`, `"pl-1"`, &ListPeers{}},
		{
			`M< {"type":"peers_list","_reqId":"pl-1","peers":[{"pubkey":"<A>","memberPubkey":"<A>","displayName":"A","status":"idle","summary":null,"groups":[],"sessionId":"daemon-41","connectedAt":"<at>","cwd":"/","peerRole":"control-plane","visible":true},{"pubkey":"<Bs>","memberPubkey":"<B>","displayName":"B","status":"idle","summary":null,"groups":[],"sessionId":"u1","connectedAt":"<at>","cwd":"/w","peerRole":"session"}]}`, `"pl-1"`,
			&PeersList{Peers: []PeerRow{
				{Pubkey: keyA, MemberPubkey: keyA, DisplayName: "A", Status: "idle", Groups: []Group{}, SessionID: "daemon-41", ConnectedAt: at, Cwd: "/", PeerRole: RoleControlPlane, Visible: &yes},
				{Pubkey: session, MemberPubkey: keyB, DisplayName: "B", Status: "idle", Groups: []Group{}, SessionID: "u1", ConnectedAt: at, Cwd: "/w", PeerRole: RoleSession},
			}},
		},
		{
			`M> {"type":"send","id":"c1","client_message_id":"c1","request_fingerprint":"<print>","targetSpec":"<Bs>","priority":"next","nonce":"bg==","ciphertext":"Yw=="}`, "",
			&Send{ID: jsontext.Value(`"c1"`), TargetSpec: hexS, Priority: sdk.PriorityNext, Nonce: "bg==", Ciphertext: "Yw==", ClientMessageID: "c1", RequestFingerprint: print64},
		},
		{
			`M< {"type":"ack","id":"c1","messageId":"q1","queued":true}`, "",
			&Ack{ID: jsontext.Value(`"c1"`), MessageID: "q1", Queued: true},
		},
		{
			`S< {"type":"push","messageId":"q1","meshId":"m","senderPubkey":"<A>","priority":"next","nonce":"bg==","ciphertext":"Yw==","createdAt":"<at>","client_message_id":"c1","request_fingerprint":"<print>"}`, "",
			&Push{MessageID: "q1", MeshID: "m", SenderPubkey: OriginOf(keyA), Priority: sdk.PriorityNext, Nonce: "bg==", Ciphertext: "Yw==", CreatedAt: at, ClientMessageID: "c1", RequestFingerprint: print64},
		},
		{
			`S> {"type":"client_ack","clientMessageId":"c1","brokerMessageId":"q1"}`, "",
			&ClientAck{ClientMessageID: "c1", BrokerMessageID: "q1"},
		},
	}
	for _, step := range steps {
		direction, frame, _ := strings.Cut(fill(step.line), " ")
		t.Run(direction+" "+step.frame.FrameType(), func(t *testing.T) {
			checkHead(t, frame, step.frame.FrameType(), step.reqID)
			if direction[1] == '<' {
				checkWrites(t, step.frame, step.reqID, frame)
			}
			if _, news := step.frame.(*Event); !news {
				checkReads(t, frame, step.frame)
			}
		})
	}
}

func checkHead(t *testing.T, frame, typ, reqID string) {
	t.Helper()
	h, err := Peek([]byte(frame))
	if err != nil || string(h.Type) != typ || string(h.ReqID) != reqID {
		t.Errorf("Peek: got %s %s, %v, want %s %s", h.Type, h.ReqID, err, typ, reqID)
	}
}

func checkWrites(t *testing.T, frame Frame, reqID, want string) {
	t.Helper()
	got, err := AppendReply(nil, frame, jsontext.Value(reqID))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func checkReads(t *testing.T, frame string, want Frame) {
	t.Helper()
	got := zeroOf(want)
	if err := DecodeInto([]byte(frame), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadEvent(t *testing.T) {
	event := &Event{MessageID: "u", MeshID: "m", Name: EventPeerLeft, Data: PeerNews("B", keyB), CreatedAt: noon.UTC().Truncate(time.Millisecond)}
	frame, err := AppendEvent(nil, event)
	if err != nil {
		t.Fatal(err)
	}
	push, err := Decode[Push](frame)
	if err != nil {
		t.Fatal(err)
	}
	want := &Push{
		MessageID: "u", MeshID: "m", Priority: sdk.PriorityLow, CreatedAt: event.CreatedAt, Subtype: "system", Event: EventPeerLeft,
		EventData: jsontext.Value(`{"name":"B","displayName":"B","pubkey":"` + hexB + `"}`),
	}
	if diff := cmp.Diff(want, push); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !push.SenderPubkey.System() {
		t.Error("the sender is not the broker")
	}
	details, err := Decode[PeerEvent](push.EventData)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(event.Data, *details); diff != "" {
		t.Errorf("eventData (-want +got):\n%s", diff)
	}
}
