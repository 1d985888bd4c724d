package schedule

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/claudemesh/broker/core/store"
)

// NewSecret returns the secret of a new schedule.
func NewSecret() string { return rand.Text() }

// messageID returns the client_message_id of the time that comes next of a schedule:
// the same on every node, and known to nobody before it is sent. Clients take a
// message for a repeat whose id they know, whoever it is from: who could tell the
// next one would send them something else under it first.
//
// A schedule of an earlier release has no secret until its next time, and the id
// that a node of that release would give it.
func messageID(row *store.Schedule) string {
	due := row.DueAt.UTC().Format("20060102T150405.000Z")
	if row.Secret == "" {
		return "schedule:" + row.ID + ":" + due
	}
	mac := hmac.New(sha256.New, []byte(row.Secret))
	mac.Write([]byte(row.ID + ":" + due))
	return "schedule:" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
