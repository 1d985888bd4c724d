package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// ticketLabel is the purpose under which the key of tickets is derived.
const ticketLabel = "claudemesh broker: file tickets v1"

// maxTicket is how long a ticket may be, in bytes: more is not looked at.
const maxTicket = 1 << 10

// Errors of tickets.
var (
	ErrTicket     = errors.New("no ticket of this broker's")
	ErrTicketOver = errors.New("the ticket is over")
)

// Ticket lets whoever has it do one thing with one file for a while, without
// another proof. It was given to a member over its socket.
type Ticket struct {
	Use     string    `json:"use"` // what it is good for
	Mesh    string    `json:"mesh"`
	File    string    `json:"file"`
	Member  string    `json:"member"` // id of the member that it was given to
	Peer    sdk.Key   `json:"peer"`   // key of the session, else of the member
	Expires time.Time `json:"exp"`
}

// Ticket returns a ticket as text, which fits into a URL as it is.
func (k *Keys) Ticket(t Ticket) string {
	payload, err := json.Marshal(t)
	if err != nil {
		panic(err) // a year beyond 9999
	}
	text := base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + base64.RawURLEncoding.EncodeToString(k.seal(text))
}

// OpenTicket reads a ticket that holds at some time. ErrTicket, ErrTicketOver.
func (k *Keys) OpenTicket(text string, now time.Time) (Ticket, error) {
	payload, mac, _ := strings.Cut(text, ".")
	given, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if len(text) > maxTicket || err != nil || !hmac.Equal(given, k.seal(payload)) {
		return Ticket{}, ErrTicket
	}
	var t Ticket
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(plain, &t) != nil {
		return Ticket{}, ErrTicket
	}
	if !now.Before(t.Expires) {
		return Ticket{}, ErrTicketOver
	}
	return t, nil
}

func (k *Keys) seal(text string) []byte {
	h := hmac.New(sha256.New, k.ticket)
	h.Write([]byte(text))
	return h.Sum(nil)
}
