package cluster

import (
	"bytes"
	"log/slog"
)

// Subjects of what nodes post to each other beside what cluster itself does.
const (
	subjectPost = "post" // followed by the id of the node that it is for
	subjectCast = "cast" // for all
)

// Post hands a message to one other node, where [Parts.Posts] has who takes it by
// its kind, which has no line feed. It is a hint: it may be lost, and whoever sends
// it has to make that good. What is posted to one node comes in order.
func (n *Node) Post(node, kind string, message []byte) {
	n.bus.Publish(subjectPost+"."+node, posted(kind, message))
}

// Cast is Post to all other nodes.
func (n *Node) Cast(kind string, message []byte) {
	n.bus.Publish(subjectCast, posted(kind, message))
}

func posted(kind string, message []byte) []byte {
	b := make([]byte, 0, len(kind)+1+len(message))
	return append(append(append(b, kind...), '\n'), message...)
}

// heardPost has a message of another node taken.
func (n *Node) heardPost(b []byte) {
	kind, message, _ := bytes.Cut(b, []byte{'\n'})
	take := n.parts.Posts[string(kind)]
	if take == nil {
		n.log.Debug("a message of a kind that this program does not know", slog.String("kind", string(kind)))
		return
	}
	if err := take(message); err != nil {
		n.log.Warn("another node's message cannot be read", slog.String("kind", string(kind)), slog.Any("err", err))
	}
}
