package dial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// hookPath is the status hook's.
const hookPath = "/hook/set-status"

// HookStatus says over HTTP what a session does now: idle, working or dnd. The
// member signs, so that no other member's session is meant. Of the identity, the
// session is found by SessionID, else by Pid and Cwd, else by Cwd; Pid 0 becomes
// this process's, and Cwd "" becomes /, as in [Dial]. broker is what Dial takes.
func HookStatus(ctx context.Context, broker string, id Identity, status string) error {
	u, err := url.Parse(broker)
	if err != nil {
		return fmt.Errorf("status hook: %w", err)
	}
	u.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	u.Path, u.RawQuery = hookPath, ""
	body, err := json.Marshal(map[string]any{
		"cwd": cmp.Or(id.Cwd, "/"), "pid": cmp.Or(id.Pid, int64(os.Getpid())), "session_id": id.SessionID, "status": status,
	})
	if err != nil {
		return fmt.Errorf("status hook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("status hook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", identity.SignHTTP(id.Key, req.Method, hookPath, id.MeshID, body, time.Now()))
	res, err := upgrader.Do(req)
	if err != nil {
		return fmt.Errorf("status hook: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // nothing was written to it
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what there is
		return fmt.Errorf("status hook: %s: %s", res.Status, text)
	}
	return nil
}
