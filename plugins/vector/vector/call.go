package vector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// mostBody is the longest answer that is read of a server.
const mostBody = 8 << 20

// call sends JSON to a server and reads the JSON that comes back. Redirects are
// not followed: the body and the key are for this server alone.
type call struct {
	client *http.Client
	header http.Header
}

func newCall(header, value string) *call {
	h := http.Header{"Content-Type": {"application/json"}}
	if value != "" {
		h.Set(header, value)
	}
	return &call{
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		header: h,
	}
}

// statusError is an answer that is no success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("the server answers %d: %s", e.code, e.text) }

// do makes one request; into may be nil.
func (c *call) do(ctx context.Context, method, url string, body, into any) (err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header = c.header.Clone()
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return &statusError{resp.StatusCode, string(text[:min(len(text), 200)])}
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}
