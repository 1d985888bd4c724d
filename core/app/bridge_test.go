package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// The broker has no bridge to a messenger inside: who wants one runs a peer with a
// key of its own. So nobody hands it a member's secret key for a token, nobody
// links a chat by somebody's e-mail address, and no direct message is read by all
// chats of a mesh.
func TestFlawExt26NoSecretKeyForAToken(t *testing.T) {
	f := newFlawRig(t, nil)
	const body = `{"meshId":"m","memberId":"b","pubkey":"k","secretKey":"s","createdBy":"b"}`
	f.unchanged(func() { f.wantRefused(http.StatusNotFound, http.MethodPost, "/tg/token", nil, body) })
	tables := f.disk()
	for _, name := range []string{"telegram", "secret_key"} {
		if strings.Contains(tables, name) {
			t.Errorf("the store has something of the name %s", name)
		}
	}
}

func TestFlawExt27NoMemberBeforeACode(t *testing.T) {
	f := newFlawRig(t, nil)
	before := len(f.members())
	for _, path := range []string{"/tg/connect", "/tg/verify", "/telegram", "/connect"} {
		f.wantRefused(http.StatusNotFound, http.MethodPost, path, nil, `{"email":"ada@example.org"}`)
	}
	if after := len(f.members()); after != before {
		t.Errorf("%d members, before there were %d", after, before)
	}
}

// A second hello on a socket left the first one's session, with all that belonged
// to it, behind for ever.
func TestFlawExt50OneSocketHasOneSession(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	s := r.joined(ada)
	s.ask(`{"type":"create_stream","name":"news"}`, "stream_created")
	s.ask(`{"type":"subscribe","stream":"news","_reqId":1}`, "subscribed")
	s.write(r.vouched(session(bo), time.Now()).String())
	s.wantError("second_hello")
	if views := r.app.Views(r.mesh.ID); len(views) != 1 || views[0].MemberID != ada.MemberID {
		t.Fatalf("sessions: %+v", views)
	}
	s.bye()
	eventually(t, "the session to be gone", func() bool { return len(r.app.Views(r.mesh.ID)) == 0 })
	got := r.joined(bo).ask(`{"type":"list_streams"}`, "stream_list")
	if !strings.Contains(got, `"name":"news"`) || strings.Contains(got, `"subscriberCount":1`) {
		t.Errorf("got %s, want news without a subscriber", got)
	}
}
