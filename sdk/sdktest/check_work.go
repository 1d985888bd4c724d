package sdktest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// views returns n envelopes that a stage wants, as it may see them.
func (h *host) views(s *pluginpb.Stage, match *pluginpb.Match, n int) (list []*pluginpb.Envelope) {
	can := func(capability string) bool { return slices.Contains(h.grants(s), capability) }
	for i := range n {
		sender, bo := KeyOf("ada"), KeyOf("bo")
		pb := &pluginpb.Envelope{
			Kind: "send", Mesh: "mesh-1", Conn: uint64(1 + i%3), Priority: uint32(sdk.PriorityNext), Size: 512,
			Arrived: time.Now().UnixNano(), MessageId: fmt.Sprintf("message-%d", i),
			Target: uint32(sdk.TargetKey), TargetKey: bo[:], Member: sender[:], Session: sender[:],
		}
		if match != nil {
			fitView(pb, match, i)
		}
		if can("identity.read") {
			pb.MemberId, pb.Name, pb.Remote = "member-ada", "ada", "192.0.2.1"
		}
		if can("audience.read") {
			pb.Audience = []*pluginpb.Recipient{{Member: bo[:]}, {Member: sender[:], Session: bo[:]}}
		}
		if can("payload.hash") {
			pb.PayloadHash = bo[:]
		}
		if can("payload.bytes") {
			pb.Payload = []byte("ciphertext")
		}
		if can("credential.read") && strings.Contains(pb.Kind, "hello") {
			pb.Credential = []byte(`{"type":"hello"}`)
		}
		list = append(list, pb)
	}
	return list
}

// fitView makes an envelope one that a match accepts.
func fitView(pb *pluginpb.Envelope, match *pluginpb.Match, i int) {
	if n := len(match.Kinds); n > 0 {
		kind, family := strings.CutSuffix(match.Kinds[i%n], "*")
		if family {
			kind += "something"
		}
		pb.Kind = kind
	}
	if n := len(match.Priorities); n > 0 {
		pb.Priority = match.Priorities[i%n]
	}
	if n := len(match.Targets); n > 0 {
		pb.Target = match.Targets[i%n]
	}
	pb.Size = max(pb.Size, match.MinSize)
	if match.MaxSize > 0 {
		pb.Size = min(pb.Size, match.MaxSize)
	}
}

func (h *host) batches() {
	h.each(func(s *pluginpb.Stage, str *stream) error {
		sizes := []int{1, 2, 7, 64, 1}
		for i, n := range sizes {
			if err := str.batch(uint64(i+1), patience, h.views(s, str.match, n)...); err != nil {
				return err
			}
		}
		answered := make(map[uint64]bool)
		for range sizes {
			v, err := str.verdicts()
			if err != nil {
				return err
			}
			if v.Seq == 0 || v.Seq > uint64(len(sizes)) || answered[v.Seq] {
				return fmt.Errorf("it answered seq %d, which nobody asked or which was answered", v.Seq)
			}
			answered[v.Seq] = true
			if err := wellFormed(v, sizes[v.Seq-1]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *host) simple() {
	if !slices.Contains(h.greeted.Features, "batch/1") {
		return
	}
	for _, s := range h.stages {
		if !s.Judges {
			continue
		}
		instance := s.Name + "/simple"
		resp, err := h.configure(s, instance)
		if err != nil {
			h.addErr(s.Name, err)
			continue
		}
		v, err := h.ProcessBatch(h.ctx, &pluginpb.Batch{
			Seq: 1, DeadlineNanos: int64(patience), Instance: instance, Envelopes: h.views(s, resp.Match, 3),
		})
		if err == nil {
			err = wellFormed(v, 3)
		}
		h.addErr(s.Name, err)
	}
}

// strange shows envelopes that no broker sends. The stage may fail at each of
// them, and may panic at none.
func (h *host) strange() {
	short := []byte{1, 2, 3}
	long := strings.Repeat("x", 4096)
	list := []*pluginpb.Envelope{
		{},
		{Kind: "no_such_kind", Priority: 99, Target: 99, Size: -1, Arrived: -1},
		{Kind: "send", Member: short, Session: short, TargetKey: short, PayloadHash: short},
		{Kind: long, Mesh: long, MessageId: long, Name: long, Remote: long, TargetName: long, Target: 2},
		{Kind: "send", Target: 3, Audience: []*pluginpb.Recipient{{}, {Member: short}}},
		{Kind: "hello", Credential: []byte("{"), Attributes: []*pluginpb.Attribute{{}, {}}},
		{Kind: "send", Size: 1 << 62, Arrived: 1 << 62, Payload: make([]byte, 1<<16)},
	}
	h.each(func(_ *pluginpb.Stage, str *stream) error {
		for i, env := range list {
			if err := str.batch(uint64(i+1), patience, env); err != nil {
				return err
			}
			v, err := str.verdicts()
			if err != nil {
				return fmt.Errorf("at %.100v: %w", env, err)
			}
			if v.Count != 1 {
				return errNoCount
			}
			for _, e := range v.Exceptions {
				if strings.HasPrefix(e.Error, "panic") {
					return fmt.Errorf("at %.100v: %s", env, e.Error)
				}
			}
		}
		return nil
	})
}

// probeStage describes the probe.
func probeStage() *pluginpb.Stage {
	return &pluginpb.Stage{Name: probeName, Judges: true}
}

func (h *host) ping() {
	h.addErr("ping", h.with(probeStage(), "ping", func(str *stream) error {
		if err := str.batch(1, patience/10, &pluginpb.Envelope{MessageId: "wait"}); err != nil {
			return err
		}
		if err := str.Send(&pluginpb.HostFrame{Ping: &pluginpb.Ping{Nonce: 7}}); err != nil {
			return err
		}
		frame, err := str.frame()
		if err != nil {
			return err
		}
		if frame.Pong.GetNonce() != 7 {
			return fmt.Errorf("got %v before the pong", frame)
		}
		_, err = str.verdicts()
		return err
	}))
}

func (h *host) late() {
	h.each(func(s *pluginpb.Stage, str *stream) error {
		if err := str.batch(1, 1, h.views(s, str.match, 2)...); err != nil {
			return err
		}
		v, err := str.verdicts()
		if err == nil && (v.Count != 2 || v.DefaultVerdict == 0) {
			err = errNoCount
		}
		return err
	})
	h.addErr("deadline", h.with(probeStage(), "late", func(str *stream) error {
		if err := str.batch(1, 10*time.Millisecond, &pluginpb.Envelope{MessageId: "wait"}); err != nil {
			return err
		}
		v, err := str.verdicts()
		if err == nil && (len(v.Exceptions) != 1 || v.Exceptions[0].Verdict != 0) {
			err = fmt.Errorf("the context did not end with the batch's time: %v", v)
		}
		return err
	}))
}

// cancelled cancels one of two batches; whether it is answered is the plugin's
// business.
func (h *host) cancelled() {
	h.each(func(s *pluginpb.Stage, str *stream) error {
		if err := str.batch(1, patience, h.views(s, str.match, 2)...); err != nil {
			return err
		}
		if err := str.Send(&pluginpb.HostFrame{Cancel: &pluginpb.Cancel{Seqs: []uint64{1, 99}}}); err != nil {
			return err
		}
		if err := str.batch(2, patience, h.views(s, str.match, 3)...); err != nil {
			return err
		}
		for {
			v, err := str.verdicts()
			if err != nil || v.Seq == 2 {
				if err == nil {
					err = wellFormed(v, 3)
				}
				return err
			}
		}
	})
}

func (h *host) panics() {
	h.addErr("panic", h.with(probeStage(), "panic", func(str *stream) error {
		if err := str.batch(1, patience, &pluginpb.Envelope{}, &pluginpb.Envelope{MessageId: "panic"}, &pluginpb.Envelope{MessageId: "refuse", Conn: 4}); err != nil {
			return err
		}
		v, err := str.verdicts()
		if err != nil {
			return err
		}
		if v.Count != 3 || v.DefaultVerdict != 1 || len(v.Exceptions) != 2 ||
			v.Exceptions[0].Verdict != 0 || v.Exceptions[0].Error == "" || v.Exceptions[1].Text != "4" {
			return fmt.Errorf("one panic of three envelopes gave %v", v)
		}
		return nil
	}))
}
