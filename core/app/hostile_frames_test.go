package app_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// A frame that is no request is answered in a few bytes, and the connection
// goes on.
func TestHostileFrames(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	s := r.greet(r.vouched(session(r.member("eve", store.RoleMember)), time.Now()), socketOptions{})
	before := runtime.NumGoroutine()
	send := `{"type":"send","id":"c","targetSpec":"` + served.bo.Key().String() + `","nonce":"",`
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
	long := strings.Repeat("x", 1<<20)

	tests := []struct {
		name   string
		binary bool
		frame  string
		want   string // a code, or "ack " and how its error begins
	}{
		{"nothing", false, "", "malformed"},
		{"space", false, " \n\t", "malformed"},
		{"bytes", true, "\x00\x01\x02\xff", "malformed"},
		{"a byte order mark", false, "\ufeff{}", "malformed"},
		{"an object of nothing", false, "{}", "malformed"},
		{"null", false, "null", "malformed"},
		{"a flag", false, "true", "malformed"},
		{"a number", false, "-1e9", "malformed"},
		{"a text", false, `"hello"`, "malformed"},
		{"a list", false, `["send"]`, "malformed"},
		{"two objects", false, `{"type":"mesh_info"}{"type":"mesh_info"}`, "malformed"},
		{"a name without quotes", false, `{type:"mesh_info"}`, "malformed"},
		{"a comma too many", false, `{"type":"mesh_info",}`, "malformed"},
		{"a comment", false, `{"type":"mesh_info"} // hi`, "malformed"},
		{"lists in lists", false, deep("[", "]", 10_000), "malformed"},
		{"lists in lists in an unknown field", false, `{"type":"mesh_info","x":` + deep("[", "]", 10_000) + `}`, "malformed"},
		{"objects in objects", false, deep(`{"a":`, "}", 10_000), "malformed"},
		{"lists in a send", false, send + `"ciphertext":` + deep("[", "]", 10_000) + `}`, "ack malformed"},
		{"a type without end", false, `{"type":"` + long + `"}`, "unknown_type"},
		{"a type of 500 lists", false, `{"type":` + deep("[", "]", 20) + `}`, "invalid"},
		{"a type with half a character", false, `{"type":"\ud800"}`, "invalid"},
		{"a type with escapes", false, `{"type":"\u0062an","_reqId":1,"target":"nobody"}`, "forbidden"},
		{"a type that is nearly one", false, `{"type":"Send"}`, "unknown_type"},
		{"its own answers", false, `{"type":"hello_ack"}`, "unknown_type"},
		{"a push of its own", false, `{"type":"push","senderPubkey":"system","event":"peer_left"}`, "unknown_type"},
		{"too long a _reqId", false, `{"type":"mesh_info","_reqId":"` + long + `"}`, "invalid"},
		{"too long an id", false, strings.Replace(send, `"c"`, `"`+long+`"`, 1) + `"ciphertext":""}`, "ack invalid: id"},
		{"a _reqId that is no JSON", false, `{"type":"mesh_info","_reqId":[1,}`, "malformed"},
		{"a text that is not UTF-8", false, send + "\"ciphertext\":\"\xff\xfe\"}", "ack malformed"},
		{"a text with a control character", false, send + "\"ciphertext\":\"a\x01b\"}", "ack malformed"},
		{"a text without an end", false, send + `"ciphertext":"aaa`, "ack malformed"},
		{"a text with half a character", false, send + `"ciphertext":"\ud800"}`, "ack malformed"},
		{"a name twice", false, send + `"ciphertext":"a","ciphertext":"b"}`, "ack malformed"},
		{"a name twice, once with an escape", false, send + `"ciphertext":"a","\u0063iphertext":"b"}`, "ack malformed"},
		{"the type twice", false, `{"type":"mesh_info","type":"ban"}`, "malformed"},
		{"too many mentions", false, send + `"ciphertext":"","mentions":[` + strings.Repeat(`"a",`, 64) + `"b"]}`, "ack invalid: mentions"},
		{"a version beyond all numbers", false, send + `"ciphertext":"","bodyVersion":1e300}`, "ack invalid: bodyVersion"},
		{"too long a target", false, strings.Replace(send, `"targetSpec":"`, `"targetSpec":"@`+strings.Repeat("g", 300), 1) + `"ciphertext":""}`, "ack invalid: targetSpec"},
		{"too long a message", false, send + `"ciphertext":"` + strings.Repeat("A", 64<<10) + `"}`, "ack payload too large"},
		{"much too long a message", false, send + `"ciphertext":"` + strings.Repeat("A", 2<<20-1000) + `"}`, "ack payload too large"},
		{"a group in a group of nothing", false, `{"type":"join_group","name":"/"}`, "invalid"},
		{"a group with a line break", false, `{"type":"join_group","name":"a\nb"}`, "invalid"},
		{"a group with a name of 129 bytes", false, `{"type":"join_group","name":"` + strings.Repeat("g", 129) + `"}`, "invalid"},
		{"a summary without end", false, `{"type":"set_summary","summary":"` + long + `"}`, "invalid"},
	}
	for _, tt := range tests {
		t.Run("it answers "+tt.name, func(t *testing.T) {
			typ := websocket.MessageText
			if tt.binary {
				typ = websocket.MessageBinary
			}
			s.send(typ, []byte(tt.frame))
			wantAnswer(t, s.next(false), tt.want)
		})
	}
	r.wantServed(served, "after")
	r.wantLeft(3, 3)
	r.wantGoroutines(before)
}

func wantAnswer(t *testing.T, frame, want string) {
	t.Helper()
	if len(frame) > 1024 {
		t.Errorf("the answer has %d bytes", len(frame))
	}
	var got struct{ Type, Code, Error string }
	if err := json.Unmarshal([]byte(frame), &got); err != nil {
		t.Fatalf("got %.300s: %v", frame, err)
	}
	if text, ok := strings.CutPrefix(want, "ack "); ok {
		if got.Type != "ack" || !strings.HasPrefix(got.Error, text) {
			t.Errorf("got %.300s, want an ack with the error %s", frame, text)
		}
		return
	}
	if got.Type != "error" || got.Code != want {
		t.Errorf("got %.300s, want the error %s", frame, want)
	}
}

// Binary frames are frames.
func TestBinaryFramesAreRead(t *testing.T) {
	r := newRig(t, nil)
	s := open(t, r.url, socketOptions{})
	s.send(websocket.MessageBinary, []byte(r.hello(r.member("ada", store.RoleMember), time.Now()).String()))
	s.wantFrame("hello_ack")
	s.send(websocket.MessageBinary, []byte(`{"type":"mesh_info"}`))
	s.wantFrame("mesh_info_result")
}

// Frames over the limit close the connection with 1009, on whichever side of
// the hello.
func TestFramesOverTheLimit(t *testing.T) {
	pad := func(text string, n int) string { return text + strings.Repeat(" ", n-len(text)) }
	for _, limits := range []struct {
		name         string
		hello, after int
		change       func(*config.Config)
	}{
		{"by default", 16 << 10, 2 << 20, nil},
		{"as configured", 4 << 10, 64 << 10, func(c *config.Config) {
			c.Limits.HelloFrameBytes, c.Limits.FrameBytes = 4<<10, 64<<10
		}},
	} {
		r := newRig(t, limits.change)
		served := r.pair()
		id := r.member("eve", store.RoleMember)
		hello := r.hello(id, time.Now()).String()
		info := `{"type":"mesh_info"}`
		tests := []struct {
			name    string
			greeted bool
			frame   string
			closed  bool
		}{
			{"a hello as large as it may be", false, pad(hello, limits.hello), false},
			{"a hello of a byte more", false, pad(hello, limits.hello+1), true},
			{"a frame as large as it may be", true, pad(info, limits.after), false},
			{"a frame of a byte more", true, pad(info, limits.after+1), true},
			{"a text of 10 MB before the hello", false, `{"type":"hello","cwd":"` + strings.Repeat("x", 10<<20) + `"}`, true},
			{"a text of 10 MB", true, `{"type":"send","ciphertext":"` + strings.Repeat("x", 10<<20) + `"}`, true},
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, it takes %s: %v", limits.name, tt.name, !tt.closed), func(t *testing.T) {
				s := open(t, r.url, socketOptions{})
				if tt.greeted {
					s.write(hello)
					s.wantFrame("hello_ack")
				}
				s.write(tt.frame)
				if !tt.closed {
					s.next(false)
					return
				}
				if code, reason := s.closed(); code != 1009 {
					t.Errorf("closed: got %d %q, want 1009", code, reason)
				}
			})
		}
		r.wantServed(served, "after")
	}
}
