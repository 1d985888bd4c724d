package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/measure"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// benchDeadline is what a decision may take in a comparison: the time is to be
// measured, not judged.
const benchDeadline = 30 * time.Second

// benchEnvelope is a message as most are: from one of some members, to one
// other.
func benchEnvelope(caller int) *sdk.Envelope {
	env := &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "bench", Priority: sdk.PriorityNext, Size: 1024, Arrived: time.Now(),
		MessageID: "0123456789abcdefghijABCDEFGHIJ01",
		Sender: sdk.Sender{
			MemberID: fmt.Sprintf("member-%d", caller), Name: "bench", Conn: uint64(caller + 1), Remote: "192.0.2.1",
			Member: sha256.Sum256(fmt.Append(nil, "member", caller)), Session: sha256.Sum256(fmt.Append(nil, "session", caller)),
		},
	}
	to := sdk.Key(sha256.Sum256([]byte("to")))
	env.Target = sdk.Target{Kind: sdk.TargetKey, Key: to, Spec: to.String()}
	env.SetAudience([]sdk.Recipient{{MemberID: "to", Member: to}})
	return env
}

// targets starts what is compared. The function that it returns ends it.
func (b *bench) targets(ctx context.Context, info pluginhost.Info) (targets []measure.Target, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error { return closeInTurn(closers) }
	defer func() {
		if err != nil {
			_ = closeAll() // the first error says more
		}
	}()
	targets = append(targets, measure.Target{Name: builtInNoOp, Ask: noOp{}.Handle, Submit: decideNow})
	noOpTrial, err := b.noOpTrial()
	if err != nil {
		return nil, nil, err
	}
	for _, each := range []struct {
		name  string
		trial *trial
		info  pluginhost.Info
	}{{pluginNoOp, noOpTrial, pluginhost.Info{Name: "no-op", Judges: true}}, {info.Name, b.trial, info}} {
		target, closeTarget, err := hopTarget(ctx, each.name, each.trial, each.info)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", each.name, err)
		}
		targets, closers = append(targets, target), append(closers, closeTarget)
	}
	calls, closeCalls, err := callTarget(ctx, noOpTrial)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", callNoOp, err)
	}
	closers = append(closers, closeCalls)
	return append(targets, calls), closeAll, nil
}

func decideNow(_ *sdk.Envelope, done func(sdk.Decision, error)) bool {
	done(sdk.Next(), nil)
	return true
}

// noOpTrial is this program as the plugin that does nothing.
func (b *bench) noOpTrial() (*trial, error) {
	if b.noOp != "" {
		return &trial{path: b.noOp}, nil
	}
	self, err := os.Executable()
	return &trial{path: self, args: []string{"stage", "serve", "no-op"}}, err
}

// hopTarget asks a stage as the chain does. Each has a host, and so a process,
// of its own.
func hopTarget(ctx context.Context, name string, t *trial, info pluginhost.Info) (target measure.Target, closeTarget func() error, err error) {
	h, err := newPluginHost()
	if err != nil {
		return target, nil, err
	}
	link, err := t.load(info.Name, info, t.optionsFor(info))
	if err != nil {
		return target, nil, err
	}
	link.Deadline, link.Required, link.OnFailure = benchDeadline, true, config.FailClosed
	factory, err := h.Factory(link)
	if err != nil {
		return target, nil, err
	}
	made, err := factory.New(chain.LinkSpec{})
	if err != nil {
		return target, nil, err
	}
	stage := made.(*pluginhost.Stage)
	closeTarget = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return stage.Stop(ctx)
	}
	if err := stage.Start(ctx); err != nil {
		_ = closeTarget()
		return target, nil, err
	}
	cpu := func() time.Duration {
		for _, s := range h.Status() {
			return seconds(s.Usage.CPUSeconds)
		}
		return 0
	}
	return measure.Target{Name: name, Ask: stage.Handle, Submit: stage.Submit, CPU: cpu}, closeTarget, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// callTarget makes one call for each envelope, with the codec that gRPC has by
// itself.
func callTarget(ctx context.Context, t *trial) (target measure.Target, closeTarget func() error, err error) {
	h, err := newPluginHost()
	if err != nil {
		return target, nil, err
	}
	probed, err := t.launch(ctx, h)
	if err != nil {
		return target, nil, err
	}
	closeTarget = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return probed.Close(ctx)
	}
	client := pluginpb.NewPluginClient(probed.Process().Conn())
	const instance = "calls"
	_, err = client.Configure(ctx, &pluginpb.ConfigureRequest{Instance: instance, Stage: "no-op", Link: "no-op", Options: []byte("{}"), InFlight: 4096})
	if err != nil {
		_ = closeTarget()
		return target, nil, err
	}
	var seq atomic.Uint64
	ask := func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		v, err := client.ProcessBatch(ctx, &pluginpb.Batch{
			Seq: seq.Add(1), Instance: instance, DeadlineNanos: int64(benchDeadline), Envelopes: []*pluginpb.Envelope{messageOf(env)},
		})
		return sdk.Decision{Verdict: sdk.Verdict(v.GetDefaultVerdict())}, err
	}
	submit := func(env *sdk.Envelope, done func(sdk.Decision, error)) bool {
		go func() { done(ask(ctx, env)) }()
		return true
	}
	cpu := func() time.Duration { return seconds(probed.Process().Usage().CPUSeconds) }
	return measure.Target{Name: callNoOp, Ask: ask, Submit: submit, CPU: cpu}, closeTarget, nil
}

// messageOf is the envelope as a plugin without capabilities sees it, but for
// the pseudonyms, which have the length of keys.
func messageOf(env *sdk.Envelope) *pluginpb.Envelope {
	return &pluginpb.Envelope{
		Kind: string(env.Kind), Mesh: env.Mesh, Conn: env.Sender.Conn, Priority: uint32(env.Priority),
		Size: int64(env.Size), Arrived: env.Arrived.UnixNano(), MessageId: env.MessageID, Target: uint32(env.Target.Kind),
		TargetKey: env.Target.Key[:], Member: env.Sender.Member[:], Session: env.Sender.Session[:],
	}
}
