package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/identity"
)

// Sizes of a short code, in characters. Other brokers' are shorter than ours.
const (
	minCode = 6
	maxCode = 16
)

// errInvite says what --invite takes. What is wrong with a text that is none of
// it would be of no help: it was cut, or is something else.
var errInvite = usageError{"--invite takes a token, a link with one (ic://join/TOKEN or https://HOST/join/TOKEN), " +
	"a short link (https://HOST/i/CODE), or, with --url, a short code: copy it again, whole"}

// shortLink returns the link that stands for a short link, or for a short code of
// the broker whose WebSocket is at the URL, in its only spelling; "" when the
// text is neither.
func shortLink(invite, at string) (string, error) {
	text := strings.TrimSpace(invite)
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		path, code, found := cutLast(strings.TrimSuffix(u.Path, "/"), "/i/")
		if code = identity.NormalizeCode(code); !found || !isCode(code) {
			return "", nil
		}
		return u.Scheme + "://" + u.Host + path + "/i/" + code, nil
	}
	code := identity.NormalizeCode(text)
	switch {
	case !isCode(code):
		return "", nil
	case at == "":
		return "", usageError{"a short code is of one broker only: say which with --url ws://HOST:PORT/ws, or give the whole link"}
	}
	return httpURL(at, "/i/"+code)
}

// cutLast cuts text around the last sep.
func cutLast(text, sep string) (before, after string, found bool) {
	at := strings.LastIndex(text, sep)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(sep):], true
}

// isCode reports whether a text in its normal form may be a short code.
func isCode(code string) bool {
	foreign := func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }
	return len(code) >= minCode && len(code) <= maxCode && !strings.ContainsFunc(code, foreign)
}

// openLink asks the broker of a short link for the token behind it.
func openLink(ctx context.Context, link string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/json")
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("the broker of the short link does not answer: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	reply := new(struct {
		api.CodeResolved
		Error string `json:"error"`
	})
	if err := json.Unmarshal(text, reply); err != nil || reply.Token == "" && reply.Error == "" {
		return "", fmt.Errorf("%s answered %s, and not as a broker does", r.URL.Host, resp.Status)
	}
	if reply.Token == "" {
		return "", errors.New("the broker refused the short link: " + printable(reply.Error))
	}
	return reply.Token, nil
}

// joinedBy returns where the membership is kept that a name got by a short link,
// "" when it got none: the link may be used up, and is not asked for again then.
func joinedBy(dir, link, name string) string {
	if dir == "" {
		return ""
	}
	files, err := filepath.Glob(filepath.Join(globEscape(dir), "*."+memberName(name)+".json"))
	if err != nil {
		return ""
	}
	for _, path := range files {
		if m, err := readMember(path); err == nil && m.Link == link {
			return path
		}
	}
	return ""
}

// globEscape takes their meaning from the characters of a path that have one in
// a pattern.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
