package app_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// wrongTypes lists, for a field of a Go type, values of all other JSON types.
// Null is not among them: it stands for a field that is absent.
func wrongTypes(t reflect.Type) []string {
	kinds := map[string]string{"text": `"text"`, "number": "7", "fraction": "1.5", "flag": "true", "list": "[[]]", "object": `{"a":{}}`}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Patch[") {
		field, _ := t.FieldByName("Value")
		return wrongTypes(field.Type)
	}
	switch t.Kind() {
	case reflect.String:
		delete(kinds, "text")
	case reflect.Int64:
		delete(kinds, "number")
	case reflect.Float64:
		delete(kinds, "number")
		delete(kinds, "fraction")
	case reflect.Bool:
		delete(kinds, "flag")
	case reflect.Struct:
		delete(kinds, "object")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil // any JSON will do
		}
	default: // wants none of these
	}
	var values []string
	for _, v := range kinds {
		values = append(values, v)
	}
	return values
}

// fieldsOf calls f for each field of a wire struct.
func fieldsOf(v any, f func(name string, t reflect.Type)) {
	for field := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f(name, field.Type)
	}
}

// Each field of a hello, with a value of each type that it cannot have, gets an
// error that names the field.
func TestHelloFieldsOfWrongTypes(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	ada := session(r.member("ada", store.RoleMember))
	now := time.Now()
	// Fields whose proof is looked at as it came have words of their own.
	codes := map[string]string{"timestamp": "timestamp_skew"}
	for _, kind := range []struct {
		name  string
		frame frame
		shape any
	}{
		{"hello", r.hello(ada, now).with("sessionProof", `"00"`), wire.Hello{}},
		{"session_hello", r.vouched(ada, now), wire.SessionHello{}},
	} {
		fieldsOf(kind.shape, func(field string, typ reflect.Type) {
			values := wrongTypes(typ)
			if field == "timestamp" {
				values = []string{`"text"`, "null", "[]", "{}", "true"}
			}
			for _, value := range values {
				code := codes[field]
				if code == "" {
					code = "invalid"
				}
				t.Run(fmt.Sprintf("it refuses a %s with %s %s", kind.name, field, value), func(t *testing.T) {
					s := open(t, r.url, socketOptions{})
					s.write(kind.frame.with(field, value).String())
					if message := s.wantError(code); code == "invalid" && !strings.HasPrefix(message, field) {
						t.Errorf("got the message %q, want it to name %s", message, field)
					}
					s.wantClosed(1008, code)
				})
			}
		})
	}
	r.wantServed(served, "after")
	r.wantLeft(2, 2)
}

// requests has one good request of each type that peers send.
func requests(to sdk.Key) []struct {
	shape any
	good  string
} {
	key := quote(to.String())
	return []struct {
		shape any
		good  string
	}{
		{wire.Send{}, `{"type":"send","targetSpec":` + key + `,"priority":"now","nonce":"","ciphertext":""}`},
		{wire.ClientAck{}, `{"type":"client_ack","brokerMessageId":"x"}`},
		{wire.JoinGroup{}, `{"type":"join_group","name":"g"}`},
		{wire.LeaveGroup{}, `{"type":"leave_group","name":"g"}`},
		{wire.SetStatus{}, `{"type":"set_status","status":"idle"}`},
		{wire.SetSummary{}, `{"type":"set_summary","summary":""}`},
		{wire.SetVisible{}, `{"type":"set_visible","visible":true}`},
		{wire.SetProfile{}, `{"type":"set_profile","title":"t"}`},
		{wire.SetStats{}, `{"type":"set_stats","stats":{}}`},
		{wire.MessageStatus{}, `{"type":"message_status","messageId":"00000000"}`},
		{wire.AuditQuery{}, `{"type":"audit_query","limit":1}`},
		{wire.Disconnect{}, `{"type":"disconnect","target":"nobody"}`},
		{wire.Kick{}, `{"type":"kick","target":"nobody"}`},
		{wire.Ban{}, `{"type":"ban","target":"nobody"}`},
		{wire.Unban{}, `{"type":"unban","target":"nobody"}`},
	}
}

// Each field of a request, with a value of each type that it cannot have, is
// answered: by an error with the _reqId, or by an ack that refuses with the id
// that its sender waits for.
func TestRequestFieldsOfWrongTypes(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	s := r.greet(r.vouched(session(r.member("eve", store.RoleAdmin)), time.Now()), socketOptions{})
	n := 0
	for _, request := range requests(served.bo.Key()) {
		good := parseFrame(t, request.good)
		typ := good[0].value
		fieldsOf(request.shape, func(field string, ft reflect.Type) {
			for _, value := range wrongTypes(ft) {
				n++
				id := fmt.Sprintf("%q", fmt.Sprint("request ", n))
				t.Run(fmt.Sprintf("it refuses %s with %s %s", typ, field, value), func(t *testing.T) {
					s.write(good.with(field, value).with("_reqId", id).with("id", id).String())
					wantRefused(t, s.next(false), id, field)
				})
			}
		})
	}
	r.wantServed(served, "after")
	r.wantLeft(3, 3)
}

// wantRefused checks that a frame refuses the request with an id, for a field.
func wantRefused(t *testing.T, frame, id, field string) {
	t.Helper()
	var got struct {
		Type, Code, Message, Error string
		Queued                     *bool
		ID, ReqID                  json.RawMessage
	}
	if err := json.Unmarshal([]byte(strings.Replace(frame, `"_reqId"`, `"reqid"`, 1)), &got); err != nil {
		t.Fatalf("got %s: %v", frame, err)
	}
	switch got.Type {
	case "error":
		if got.Code != "invalid" || !strings.HasPrefix(got.Message, field) || string(got.ReqID) != id {
			t.Errorf("got %s, want invalid %s with the _reqId %s", frame, field, id)
		}
	case "ack":
		if !strings.HasPrefix(got.Error, "invalid: "+field) || string(got.ID) != id || got.Queued == nil || *got.Queued {
			t.Errorf("got %s, want a refusal with the id %s that names %s", frame, id, field)
		}
	default:
		t.Errorf("got %s, want an error or an ack", frame)
	}
}
