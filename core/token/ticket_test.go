package token

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/sdk"
)

func TestTicket(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	keys, others := NewKeys([KeySize]byte{1}), NewKeys([KeySize]byte{2})
	want := Ticket{Use: "get", Mesh: "m", File: "f", Member: "ada", Peer: sdk.Key{1}, Expires: now.Add(time.Minute)}
	text := keys.Ticket(want)
	payload, mac, _ := strings.Cut(text, ".")
	more := want
	more.File = "g"
	another, _, _ := strings.Cut(keys.Ticket(more), ".")
	for _, tt := range []struct {
		name, text string
		at         time.Time
		want       error
	}{
		{"takes its own", text, now, nil},
		{"takes it to the end", text, now.Add(time.Minute - 1), nil},
		{"refuses one that is over", text, now.Add(time.Minute), ErrTicketOver},
		{"refuses another broker's", others.Ticket(want), now, ErrTicket},
		{"refuses another file's with this one's seal", another + "." + mac, now, ErrTicket},
		{"refuses half a seal", payload + "." + mac[:10], now, ErrTicket},
		{"refuses no seal", payload, now, ErrTicket},
		{"refuses nothing", "", now, ErrTicket},
		{"refuses what is behind it", text + "x", now, ErrTicket},
	} {
		got, err := keys.OpenTicket(tt.text, tt.at)
		if !errors.Is(err, tt.want) || err == nil && got != want {
			t.Errorf("it %s: got %+v, error %v", tt.name, got, err)
		}
	}
}

// Nothing but what the broker made is a ticket.
func TestTicketIsNotGuessed(t *testing.T) {
	t.Parallel()
	keys := NewKeys([KeySize]byte{1})
	text := keys.Ticket(Ticket{Use: "get", Expires: time.Now().Add(time.Hour)})
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(text)-1).Draw(t, "place")
		forged := text[:i] + rapid.StringN(0, 3, 3).Draw(t, "text") + text[i+1:]
		if _, err := keys.OpenTicket(forged, time.Now()); err == nil && forged != text {
			t.Fatalf("%q is taken", forged)
		}
	})
}
