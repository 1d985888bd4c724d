package pluginhost_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/pluginhost/measure"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// BenchmarkCost compares a hop with one unary go-plugin call for each envelope,
// with the same metadata, in rounds that take turns: the ratios are what counts.
// Each operation is all rounds; run it once:
//
//	go test -run - -bench Cost -benchtime 1x ./core/pluginhost
func BenchmarkCost(b *testing.B) {
	for _, mtls := range []bool{false, true} {
		b.Run(fmt.Sprintf("mtls=%v", mtls), func(b *testing.B) {
			unary, hop := unaryTarget(b, mtls), hopTarget(b, mtls)
			for range b.N {
				compare(b, unary, hop)
			}
		})
	}
}

// rounds and turn are how often and how long each target is asked under each
// load.
const (
	rounds = 5
	turn   = 1500 * time.Millisecond
)

func compare(b *testing.B, unary, hop measure.Target) {
	b.Helper()
	loads := measure.Loads(turn)
	one, many, pipelined := loads[0], loads[1], loads[2]
	var u1, h1, u64, h64, hp []measure.Result
	for range rounds {
		u1 = append(u1, run(b, unary, one))
		h1 = append(h1, run(b, hop, one))
		u64 = append(u64, run(b, unary, many))
		h64 = append(h64, run(b, hop, many))
		hp = append(hp, run(b, hop, pipelined))
	}
	for _, r := range [][]measure.Result{u1, h1, u64, h64, hp} {
		m := medianOf(r)
		b.Logf("%-10s %-12s %8.0f/s  p50 %8v  p99 %8v  CPU %7v  allocs %.1f",
			m.Target, m.Load, m.PerSecond, m.P50, m.P99, m.CPU, m.Allocs)
	}
	b.ReportMetric(ratio(h64, u64, perSecond), "x/s@64")
	b.ReportMetric(ratio(u64, h64, cpu), "xCPU@64")
	b.ReportMetric(ratio(hp, u64, perSecond), "x/s@pipelined")
	b.ReportMetric(ratio(u64, hp, cpu), "xCPU@pipelined")
	b.ReportMetric(ratio(h1, u1, p50), "xp50@1")
	b.ReportMetric(medianOf(h64).Allocs, "allocs@64")
}

func perSecond(r measure.Result) float64 { return r.PerSecond }
func cpu(r measure.Result) float64       { return float64(r.CPU) }
func p50(r measure.Result) float64       { return float64(r.P50) }

// ratio is the median of the rounds' ratios: neighbours in time are compared.
func ratio(over, under []measure.Result, of func(measure.Result) float64) float64 {
	list := make([]float64, len(over))
	for i := range over {
		list[i] = of(over[i]) / of(under[i])
	}
	slices.Sort(list)
	return list[len(list)/2]
}

func medianOf(list []measure.Result) measure.Result {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b measure.Result) int { return int(a.CPU - b.CPU) })
	return sorted[len(sorted)/2]
}

func run(b *testing.B, t measure.Target, l measure.Load) measure.Result {
	b.Helper()
	r, err := measure.Run(b.Context(), t, l, func(caller int) *sdk.Envelope { return message(uint64(caller)) })
	if err != nil || r.Failed > 0 {
		b.Fatalf("%s, %s: %v, %d failed", t.Name, l.Name, err, r.Failed)
	}
	return r
}

// hopTarget is a no-op stage over this package.
func hopTarget(b *testing.B, mtls bool) measure.Target {
	b.Helper()
	h := newHost(b)
	l := link(b, "drill")
	l.Plugin.Stage, l.Plugin.MTLS = "noop", mtls
	s := start(b, h, l)
	b.Cleanup(func() { stop(b, s) })
	pid := status(b, h).PID
	return measure.Target{
		Name: "hop", Ask: s.Handle, Submit: s.(chain.Submitter).Submit,
		CPU: func() time.Duration {
			st := status(b, h)
			if st.PID != pid {
				b.Fatal("the plugin was replaced")
			}
			return time.Duration(st.Usage.CPUSeconds * float64(time.Second))
		},
	}
}

// unaryTarget is a no-op plugin under go-plugin alone, with gRPC's own codec,
// called once for each envelope.
func unaryTarget(b *testing.B, mtls bool) measure.Target {
	b.Helper()
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv(actEnv, "honest")
	file, err := process.Open(path, "")
	if err != nil {
		b.Fatal(err)
	}
	proc, err := process.Start(b.Context(), file, process.Options{RunDir: b.TempDir(), Env: []string{actEnv}, MTLS: mtls})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, _ = proc.Stop(ctx), file.Close()
	})
	client := pluginpb.NewPluginClient(proc.Conn())
	return measure.Target{
		Name: "unary",
		Ask: func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			v, err := client.ProcessBatch(ctx, &pluginpb.Batch{Envelopes: []*pluginpb.Envelope{plainView(env)}})
			return sdk.Decision{Verdict: sdk.Verdict(v.GetDefaultVerdict())}, err
		},
		CPU: func() time.Duration { return time.Duration(proc.Usage().CPUSeconds * float64(time.Second)) },
	}
}

// plainView is what the hop sends of a message, made the plain way.
func plainView(env *sdk.Envelope) *pluginpb.Envelope {
	return &pluginpb.Envelope{
		Kind: string(env.Kind), Mesh: env.Mesh, Conn: env.Sender.Conn, Priority: uint32(env.Priority),
		Size: int64(env.Size), Arrived: env.Arrived.UnixNano(), Target: uint32(env.Target.Kind),
		TargetKey: env.Target.Key[:], Member: env.Sender.Member[:], Session: env.Sender.Session[:],
	}
}
