package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/identity"
)

// joinTime bounds the whole of a join.
const joinTime = 15 * time.Second

// join enrols a fresh key with an invite's token. at is the broker's URL, empty
// for the invite's own.
func join(ctx context.Context, token, at, name string) (*memberFile, error) {
	payload, err := identity.ParseToken(token)
	if err != nil {
		return nil, errInvite
	}
	if at == "" {
		at = payload.BrokerURL
	}
	key, secret := identity.NewKeypair()
	body, err := json.Marshal(struct {
		Token   string            `json:"invite_token"`
		Payload identity.InviteV1 `json:"invite_payload"`
		Pubkey  string            `json:"peer_pubkey"`
		Name    string            `json:"display_name"`
	}{token, payload, key.String(), name})
	if err != nil {
		return nil, err
	}
	reply, err := postJoin(ctx, at, body)
	if err != nil {
		return nil, err
	}
	return &memberFile{
		URL: at, MeshID: payload.MeshID, MemberID: reply.MemberID, SecretKey: identity.SeedHex(secret), DisplayName: name,
	}, nil
}

// postJoin asks the broker whose WebSocket is at the URL.
func postJoin(ctx context.Context, at string, body []byte) (*api.Joined, error) {
	address, err := httpURL(at, "/join")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the broker of the invite does not answer, and --url gives another address: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	reply := new(struct {
		api.Joined
		Error string `json:"error"`
	})
	if err := json.Unmarshal(text, reply); err != nil {
		return nil, fmt.Errorf("%s answered %s, and not as a broker does", address, resp.Status)
	}
	if !reply.OK || reply.MemberID == "" {
		return nil, fmt.Errorf("the broker refused the invite: %s", printable(reply.Error))
	}
	return &reply.Joined, nil
}

// httpURL is a path of the broker whose WebSocket is at the URL.
func httpURL(at, path string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return "", errors.New("the broker's URL must begin with ws:// or wss://; got " + quoted(at))
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/ws") + path
	return u.String(), nil
}
