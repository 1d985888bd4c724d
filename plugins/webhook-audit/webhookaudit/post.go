package webhookaudit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a post. The first three are those of Standard Webhooks.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	headerRepeat    = "Idempotency-Key" // the id again, for receivers that know this one
)

// Limits of what an endpoint may tell us.
const (
	longestReply = 512              // bytes kept of a refusal
	longestRest  = 5 * time.Minute  // of what Retry-After asks for
	headerWait   = 30 * time.Second // idle connections are closed after it
)

// endpoint is where batches go. Safe for concurrent use.
type endpoint struct {
	url     string
	secret  []byte
	timeout time.Duration
	client  *http.Client
}

func newEndpoint(o *Options, secret []byte, roots *x509.CertPool) *endpoint {
	return &endpoint{
		url: o.URL, secret: secret, timeout: time.Duration(o.Timeout),
		client: &http.Client{
			Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: headerWait,
			},
			// Where a redirect leads, nobody has configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// answer is what came of one post.
type answer struct {
	taken  bool
	final  bool // with taken false: it will never be taken
	status int  // 0 when there was no answer
	reason string
	rest   time.Duration // how long the endpoint wants to be left alone
}

// post tries once. 2xx is taken; 4xx but 408 and 429 is final.
func (e *endpoint) post(ctx context.Context, b *batch) answer {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(b.body))
	if err != nil {
		return answer{reason: err.Error()}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "webhook-audit/"+Version)
	req.Header.Set(headerID, b.id)
	req.Header.Set(headerRepeat, b.id)
	req.Header.Set(headerTimestamp, at)
	req.Header.Set(headerSignature, sign(e.secret, b.id, at, b.body))
	resp, err := e.client.Do(req)
	if err != nil {
		return answer{reason: err.Error()}
	}
	defer resp.Body.Close() //nolint:errcheck // was only read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, longestReply))
	a := answer{status: resp.StatusCode, rest: restOf(resp.Header.Get("Retry-After"))}
	switch {
	case a.status >= 200 && a.status < 300:
		a.taken = true
	case a.status == http.StatusRequestTimeout || a.status == http.StatusTooManyRequests:
	case a.status >= 400 && a.status < 500:
		a.final = true
	}
	a.reason = strings.TrimSpace(fmt.Sprintf("%s %s", resp.Status, strings.ToValidUTF8(string(text), "?")))
	return a
}

// sign gives the signature of Standard Webhooks: HMAC-SHA256 over the id, the
// time and the body, with dots between.
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// restOf reads Retry-After in seconds. A date is not read: clocks differ.
func restOf(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestRest)
}
