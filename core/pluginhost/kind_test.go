package pluginhost

import (
	"strings"
	"testing"
)

// What a stage says of its kinds is held to the rules before anybody asks it.
func TestKindsThatAreRefused(t *testing.T) {
	good := Kind{Name: "note_put", Replies: []string{"note_kept"}, Permission: "canWriteState", Refusal: "note_kept", refusal: []byte(`{"id":""}`)}
	taken := func(kind, typ string) bool { return kind == "note_put" && typ == "state_result" }
	if err := good.check(taken); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*Kind)
		want   string
	}{
		"a name with a dot":      {func(k *Kind) { k.Name = "http.mesh" }, "a name has"},
		"no answer":              {func(k *Kind) { k.Replies = nil }, "it has 0 types of answer"},
		"too many answers":       {func(k *Kind) { k.Replies = make([]string, maxReplies+1) }, "it has 9 types of answer"},
		"an odd permission":      {func(k *Kind) { k.Permission = "canAll" }, "there is no permission"},
		"a refusal of its own":   {func(k *Kind) { k.Refusal = "note_gone" }, "which none of its answers has"},
		"a refusal too long":     {func(k *Kind) { k.refusal = make([]byte, maxRefusalBytes+1) }, "its refusal has 4097 bytes"},
		"a refusal with a type":  {func(k *Kind) { k.refusal = []byte(`{"type":"push"}`) }, "which is the broker's"},
		"a refusal with a twin":  {func(k *Kind) { k.refusal = []byte(`{"a":1,"a":2}`) }, "duplicate"},
		"a refusal and more":     {func(k *Kind) { k.refusal = []byte(`{},{}`) }, "something stands behind"},
		"a refusal with a break": {func(k *Kind) { k.refusal = []byte(`{"a":1`) }, "EOF"},
	}
	for _, word := range []string{"push", "error", "hello_ack", "mcp_call_forward", "peer_file_response_forward", "peer_dir_response_forward", "state_result"} {
		tests["the answer "+word] = struct {
			change func(*Kind)
			want   string
		}{func(k *Kind) { k.Replies = append(k.Replies, word) }, "an answer cannot have the type"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := good
			k.Replies = append([]string(nil), good.Replies...)
			tt.change(&k)
			if err := k.check(taken); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
