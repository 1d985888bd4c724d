package sdktest

import (
	"fmt"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

func (h *host) instances() {
	h.each(func(s *pluginpb.Stage, first *stream) error {
		return h.with(s, "two", func(second *stream) error {
			for _, str := range []*stream{first, second} {
				if err := str.batch(1, patience, h.views(s, str.match, 2)...); err != nil {
					return err
				}
			}
			for _, str := range []*stream{second, first} {
				v, err := str.verdicts()
				if err == nil {
					err = wellFormed(v, 2)
				}
				if err != nil {
					return err
				}
			}
			second.cancel()
			if err := first.batch(2, patience, h.views(s, first.match, 1)...); err != nil {
				return err
			}
			v, err := first.verdicts()
			if err != nil {
				return fmt.Errorf("after the other instance ended: %w", err)
			}
			return wellFormed(v, 1)
		})
	})
}

func (h *host) unknownInstance() {
	str, err := h.Process(h.ctx)
	if err == nil {
		err = str.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: "no-such-instance"}})
	}
	h.addErr("stream", err)
	if err == nil {
		if frame, err := str.Recv(); err == nil {
			h.add("a stream of an instance that does not exist answers %v", frame)
		}
	}
	if _, err := h.ProcessBatch(h.ctx, &pluginpb.Batch{Seq: 1, Instance: "no-such-instance"}); err == nil {
		h.add("a batch for an instance that does not exist is answered")
	}
	if _, err := h.Drain(h.ctx, &pluginpb.DrainRequest{Instance: "no-such-instance"}); err == nil {
		h.add("an instance that does not exist is drained")
	}
}

func (h *host) outcomes() {
	for _, s := range h.stages {
		if !s.Observes {
			continue
		}
		h.addErr(s.Name, h.with(s, "outcomes", func(str *stream) error {
			for seq := range uint64(3) {
				outcomes := &pluginpb.Outcomes{Seq: seq + 1, Missed: seq}
				for _, env := range h.views(s, str.match, 5) {
					env.Payload, env.Audience = nil, nil
					outcomes.Outcomes = append(outcomes.Outcomes, &pluginpb.Outcome{
						Envelope: env, Verdict: 2, Reason: "blocked", Stage: "other", TookNanos: 1, SettledNanos: 2,
					})
				}
				if err := str.Send(&pluginpb.HostFrame{Outcomes: outcomes}); err != nil {
					return err
				}
			}
			for seq := range uint64(3) {
				frame, err := str.frame()
				if err != nil {
					return err
				}
				if frame.Observed.GetSeq() != seq+1 {
					return fmt.Errorf("got %v, want outcomes %d to be observed", frame, seq+1)
				}
			}
			return nil
		}))
	}
}

func (h *host) drains() {
	for _, s := range h.stages {
		h.addErr(s.Name, h.with(s, "drained", func(str *stream) error {
			if s.Judges {
				if err := str.batch(1, patience, h.views(s, str.match, 8)...); err != nil {
					return err
				}
				v, err := str.verdicts()
				if err == nil {
					err = wellFormed(v, 8)
				}
				if err != nil {
					return fmt.Errorf("before the drain: %w", err)
				}
			}
			resp, err := h.Drain(h.ctx, &pluginpb.DrainRequest{Instance: s.Name + "/drained", DeadlineNanos: int64(patience)})
			if err == nil && resp.Unfinished > 0 {
				err = fmt.Errorf("%d are unfinished, and nothing was in hand", resp.Unfinished)
			}
			return err
		}))
	}
	if _, err := h.Drain(h.ctx, &pluginpb.DrainRequest{DeadlineNanos: int64(patience)}); err != nil {
		h.addErr("drain of all", err)
	}
}
