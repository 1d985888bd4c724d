package conform

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// envelopes makes n envelopes that the broker could send: of what the stage
// wants, and with what it is granted.
func (t *talk) envelopes(match *pluginpb.Match, n int) []*pluginpb.Envelope {
	list := make([]*pluginpb.Envelope, n)
	for i := range list {
		list[i] = t.envelope(match, i)
	}
	return list
}

func (t *talk) envelope(match *pluginpb.Match, i int) *pluginpb.Envelope {
	granted := func(capability string) bool { return slices.Contains(t.s.Link.Plugin.Grants, capability) }
	kind := pick([]string{"send", "list_peers", "peer_left"}, match.GetKinds(), i)
	if family, ok := strings.CutSuffix(kind, "*"); ok {
		kind = family + "something"
	}
	who := string(rune('a' + i%5))
	e := &pluginpb.Envelope{
		Kind: kind, Mesh: "conformance", Conn: uint64(i%3 + 1), Arrived: time.Now().UnixNano(),
		Priority: pick([]uint32{0, 1, 2}, match.GetPriorities(), i), Size: sizeIn(match, i),
		Member: keyOf("member " + who), Session: keyOf("session " + who),
	}
	if kind == "send" {
		e.MessageId = "0123456789abcdefghijABCDEFGHIJ01"
		if e.Target = pick([]uint32{1, 2, 3, 4}, match.GetTargets(), i); e.Target == 1 {
			e.TargetKey = keyOf("target")
		}
	}
	if granted("identity.read") {
		e.MemberId, e.Name, e.Remote = "member-"+who, who, "192.0.2.1"
		if e.Target == 2 || e.Target == 4 {
			e.TargetName = "ops"
		}
	}
	if granted("audience.read") {
		e.Audience = []*pluginpb.Recipient{{Member: keyOf("target")}, {Member: keyOf("other"), Session: keyOf("there")}}
	}
	if granted("payload.bytes") {
		e.Payload = []byte("sealed")
	}
	if granted("payload.hash") {
		e.PayloadHash = keyOf("sealed")
	}
	if granted("credential.read") && strings.HasSuffix(kind, "hello") {
		e.Credential = []byte(`{"type":"hello"}`)
	}
	return e
}

// pick takes the i-th of what the stage wants, which is all when it names none.
func pick[T any](all, wanted []T, i int) T {
	if len(wanted) > 0 {
		all = wanted
	}
	return all[i%len(all)]
}

func sizeIn(match *pluginpb.Match, i int) int64 {
	size := max(int64(200+i), match.GetMinSize())
	if most := match.GetMaxSize(); most > 0 {
		size = min(size, most)
	}
	return size
}

func keyOf(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}
