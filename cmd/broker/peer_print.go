package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
)

// messageLine is one message as --json prints it.
type messageLine struct {
	MessageID          string    `json:"messageId"`
	SenderName         string    `json:"senderName"`
	SenderPubkey       string    `json:"senderPubkey"`
	SenderMemberPubkey string    `json:"senderMemberPubkey"`
	Priority           string    `json:"priority"`
	ReplyToID          string    `json:"replyToId,omitempty"`
	CreatedAt          time.Time `json:"createdAt"`
	Opened             bool      `json:"opened"` // false: sealed for another key, text is empty
	Text               string    `json:"text"`
}

// print prints one message, in one line and one write.
func (l *listener) print(peer *dial.Peer, push *wire.Push) error {
	text, openErr := peer.Open(push)
	if !l.asJSON {
		if openErr != nil {
			text = "(sealed for another key: " + openErr.Error() + ")"
		}
		_, err := fmt.Fprintf(l.out, "%s %s: %s\n", push.CreatedAt.Local().Format("15:04:05"), printable(push.SenderName), printable(text))
		return err
	}
	line, err := json.Marshal(messageLine{
		MessageID: push.MessageID, SenderName: push.SenderName, SenderPubkey: push.SenderPubkey.Key().String(),
		SenderMemberPubkey: push.SenderMemberPubkey.String(), Priority: push.Priority.String(), ReplyToID: push.ReplyToID,
		CreatedAt: push.CreatedAt.UTC(), Opened: openErr == nil, Text: text,
	})
	if err != nil {
		return err
	}
	_, err = l.out.Write(append(line, '\n'))
	return err
}

// remembered is how many message ids a listener knows again. Repeats come soon
// after the first time, when a confirmation was lost.
const remembered = 4096

// recent remembers the newest ids. The zero recent is ready to use.
type recent struct {
	known map[string]struct{}
	order []string // a ring, once it is full
	next  int
}

func (r *recent) has(id string) bool {
	_, ok := r.known[id]
	return ok
}

func (r *recent) add(id string) {
	if r.known == nil {
		r.known = make(map[string]struct{})
	}
	r.known[id] = struct{}{}
	if len(r.order) < remembered {
		r.order = append(r.order, id)
		return
	}
	delete(r.known, r.order[r.next])
	r.order[r.next] = id
	r.next = (r.next + 1) % remembered
}
