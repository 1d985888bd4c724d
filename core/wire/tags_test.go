package wire

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// requests are what peers send; answers and parts are what they get.
var (
	requests = []Frame{
		Hello{},
		SessionHello{},
		Send{},
		ClientAck{},
		MessageStatus{},
		JoinGroup{},
		LeaveGroup{},
		SetStatus{},
		SetSummary{},
		SetVisible{},
		SetProfile{},
		SetStats{},
		ListPeers{},
		MeshInfo{},
		SetState{},
		GetState{},
		ListState{},
		Remember{},
		Recall{},
		Forget{},
		ShareContext{},
		GetContext{},
		ListContexts{},
		CreateTask{},
		ClaimTask{},
		CompleteTask{},
		ListTasks{},
		SetClock{},
		PauseClock{},
		ResumeClock{},
		GetClock{},
		Watch{},
		Unwatch{},
		WatchList{},
		CreateWebhook{},
		RotateWebhook{},
		DeleteWebhook{},
		ListWebhooks{},
		CreateStream{},
		Subscribe{},
		Unsubscribe{},
		Publish{},
		ListStreams{},
		PeerFileRequest{},
		PeerFileResponse{},
		PeerDirRequest{},
		PeerDirResponse{},
		McpRegister{},
		McpUnregister{},
		McpList{},
		McpCall{},
		McpCallResponse{},
		APIKeyCreate{},
		APIKeyList{},
		APIKeyRevoke{},
		ShareSkill{},
		RemoveSkill{},
		GetSkill{},
		ListSkills{},
		VaultSet{},
		VaultDelete{},
		VaultList{},
		VaultGet{},
		Disconnect{},
		Kick{},
		Ban{},
		Unban{},
		ListBans{},
		SetGrants{},
		GetGrants{},
		AuditQuery{},
		AuditVerify{},
	}
	answers = []Frame{
		HelloAck{},
		Ack{},
		Push{},
		MessageStatusResult{},
		PeersList{},
		MeshInfoResult{},
		StateResult{},
		StateValue{},
		StateList{},
		StateChange{},
		MemoryStored{},
		MemoryResults{},
		MemoryRecallResult{},
		ContextShared{},
		ContextResults{},
		ContextList{},
		TaskCreated{},
		TaskList{},
		ClockStatus{},
		WatchAck{},
		WatchListResult{},
		WebhookAck{},
		WebhookList{},
		StreamCreated{},
		Subscribed{},
		StreamData{},
		StreamList{},
		PeerFileAsk{},
		PeerFileResult{},
		PeerDirAsk{},
		PeerDirResult{},
		McpRegisterAck{},
		McpListResult{},
		McpCallForward{},
		McpCallResult{},
		APIKeyCreated{},
		APIKeyListResponse{},
		APIKeyRevokeResponse{},
		SkillAck{},
		SkillData{},
		SkillList{},
		VaultAck{},
		VaultListResult{},
		VaultGetResult{},
		DisconnectAck{},
		KickAck{},
		BanAck{},
		UnbanAck{},
		ListBansResult{},
		GrantsResult{},
		AuditResult{},
		AuditVerifyResult{},
		Error{},
	}
)

func TestTags(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, f := range requests {
		checkTags(t, reflect.TypeOf(f), true, seen)
	}
	for _, f := range answers {
		checkTags(t, reflect.TypeOf(f), false, seen)
	}
	checkTags(t, reflect.TypeFor[PeerEvent](), false, seen)
	checkTags(t, reflect.TypeFor[McpEvent](), false, seen)
	checkTags(t, reflect.TypeFor[ProfileChanges](), false, seen)
}

// checkTags wants a name and a doc on every field, and a limit on everything
// that a peer can make long.
func checkTags(t *testing.T, typ reflect.Type, request bool, seen map[reflect.Type]bool) {
	t.Helper()
	typ = inner(typ)
	if typ.Kind() == reflect.Slice {
		typ = inner(typ.Elem())
	}
	if !isFrame(typ) || seen[typ] {
		return
	}
	seen[typ] = true
	for sf := range typ.Fields() {
		if !sf.IsExported() {
			continue // of a type that writes itself
		}
		where := typ.Name() + "." + sf.Name
		if sf.Tag.Get("doc") == "" || sf.Tag.Get("json") == "" {
			t.Errorf("%s: no doc or no name on the wire", where)
		}
		body := sf.Name == "Nonce" || sf.Name == "Ciphertext"
		if request && !body && needsLimit(sf) {
			t.Errorf("%s: no limit", where)
		}
		checkTags(t, sf.Type, request, seen)
	}
}

func needsLimit(sf reflect.StructField) bool {
	limited := sf.Tag.Get("max") != "" || sf.Tag.Get("enum") != "" || sf.Tag.Get("rule") != ""
	switch typ := inner(sf.Type); {
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.String:
		return !limited || sf.Tag.Get("each") == ""
	case typ.Kind() == reflect.String || typ.Kind() == reflect.Slice:
		return !limited
	}
	return false
}

func TestFrameTypesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range append(append([]Frame{}, requests...), answers...) {
		if typ := f.FrameType(); seen[typ] {
			t.Errorf("%s is the type of two frames", typ)
		} else {
			seen[typ] = true
		}
	}
}

// TestFastLimits holds the limits of the fast readers to the tags, which the
// strict reader heeds.
func TestFastLimits(t *testing.T) {
	tests := []struct {
		frame Frame
		name  string
		limit int
	}{
		{Send{}, "id", MaxEcho},
		{Send{}, "targetSpec", maxSpec},
		{Send{}, "client_message_id", maxID},
		{Send{}, "request_fingerprint", maxID},
		{Send{}, "replyToId", maxID},
		{Send{}, "traceparent", MaxTrace},
		{ClientAck{}, "clientMessageId", maxID},
		{ClientAck{}, "brokerMessageId", maxID},
		{Ack{}, "id", MaxEcho},
	}
	for _, tt := range tests {
		got := shapeOf(reflect.TypeOf(tt.frame)).field(tt.name)
		if got == nil || got.max != tt.limit {
			t.Errorf("%s.%s: the tag has %+v, the fast reader %d", tt.frame.FrameType(), tt.name, got, tt.limit)
		}
	}
	if maxSpec != sdk.MaxTarget {
		t.Errorf("maxSpec is %d, want sdk.MaxTarget", maxSpec)
	}
}

// TestLimitsAreInclusive sends texts of exactly the longest length, and of one
// byte more, through the fast and the strict reader.
func TestLimitsAreInclusive(t *testing.T) {
	for _, extra := range []string{"", `,"x":1`} {
		for n, good := range map[int]bool{maxID: true, maxID + 1: false} {
			frame := `{"targetSpec":"*","nonce":"","ciphertext":"","replyToId":"` + strings.Repeat("r", n) + `"` + extra + `}`
			_, err := Decode[Send]([]byte(frame))
			if (err == nil) != good {
				t.Errorf("%d bytes with %q: got error %v", n, extra, err)
			}
		}
	}
}

func TestRefusedClose(t *testing.T) {
	got := Refused(sdk.ReasonCapacity)
	if got.Code != CodeRefused || got.Reason != "capacity" {
		t.Errorf("got %d %s, want 1008 capacity", got.Code, got.Reason)
	}
}

func TestCloses(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Closes() {
		key := strconv.Itoa(int(c.Code)) + c.Reason
		if seen[key] || c.Code == 0 || c.Reason == "" || c.Meaning == "" {
			t.Errorf("%+v is a repetition or incomplete", c)
		}
		if len(c.Reason) > 123 {
			t.Errorf("%s does not fit into a close frame", c.Reason)
		}
		seen[key] = true
	}
}

func TestOrigin(t *testing.T) {
	if got := (Origin{}).String(); got != "system" {
		t.Errorf("got %s, want system", got)
	}
	var nobody Origin
	if err := nobody.UnmarshalText(nil); err != nil || !nobody.Unsealed() || nobody.System() || nobody.String() != "" {
		t.Errorf("got %q, %v, want that nobody sealed it", nobody, err)
	}
	o := OriginOf(keyA)
	if o.String() != hexA || o.Key() != keyA || o.System() {
		t.Errorf("got %s, want %s", o, hexA)
	}
}

func TestPatchApply(t *testing.T) {
	old := "old"
	tests := []struct {
		name  string
		patch Patch[string]
		want  string
	}{
		{"leaves alone what is absent", Patch[string]{}, "old"},
		{"clears", Clear[string](), ""},
		{"sets", Set("new"), "new"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value := &old
			tt.patch.Apply(&value)
			got := ""
			if value != nil {
				got = *value
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWantType(t *testing.T) {
	tests := []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[jsontext.Value](), "want a JSON value"},
		{reflect.TypeFor[*time.Time](), `want a time like "2026-01-02T15:04:05.000Z"`},
		{reflect.TypeFor[map[string]int](), "want an object"},
		{reflect.TypeFor[chan int](), "want another value"},
	}
	for _, tt := range tests {
		if got := wantType(tt.typ); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.typ, got, tt.want)
		}
	}
}
