package dial

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
)

func TestHookStatus(t *testing.T) {
	_, secret := identity.NewKeypair()
	var got map[string]any
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		proof, ok := identity.ParseHTTPProof(r.Header.Get("Authorization"))
		if !ok || proof.Mesh != "m1" || !identity.CheckHTTP(proof, r.Method, r.RequestURI, sha256.Sum256(body), time.Now()).OK() {
			t.Errorf("%s %s: the signature does not fit: %+v", r.Method, r.RequestURI, proof)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		if _, err := io.WriteString(w, `{"ok":false,"error":"why"}`); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http") + "/ws?x=1"
	id := Identity{MeshID: "m1", Key: secret, SessionID: "l1", Pid: 7, Cwd: "/src"}
	if err := HookStatus(t.Context(), url, id, "working"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"cwd": "/src", "pid": 7.0, "session_id": "l1", "status": "working"}, got); diff != "" {
		t.Error(diff)
	}
	status = http.StatusTooManyRequests
	err := HookStatus(t.Context(), url, Identity{MeshID: "m1", Key: secret}, "idle")
	if err == nil || !strings.Contains(err.Error(), "429") || !strings.Contains(err.Error(), "why") {
		t.Errorf("got %v, want the refusal", err)
	}
	if diff := cmp.Diff(map[string]any{"cwd": "/", "pid": float64(os.Getpid()), "session_id": "", "status": "idle"}, got); diff != "" {
		t.Error(diff)
	}
	for _, url := range []string{"ftp://localhost/ws", "ws://\x00"} {
		if err := HookStatus(t.Context(), url, id, "idle"); err == nil {
			t.Errorf("%q: no error", url)
		}
	}
}
