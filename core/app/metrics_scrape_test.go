package app_test

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// TestOriginalFamilies holds /metrics to what the original's dashboard and alerts
// are made for: names, types and labels. Two families have one unlabelled 0 until
// something is counted.
func TestOriginalFamilies(t *testing.T) {
	r := newRig(t, nil)
	want := []struct {
		name, label string
		typ         dto.MetricType
	}{
		{"broker_connections_total", "", dto.MetricType_COUNTER},
		{"broker_connections_rejected_total", "reason", dto.MetricType_COUNTER},
		{"broker_connections_active", "", dto.MetricType_GAUGE},
		{"broker_messages_routed_total", "priority", dto.MetricType_COUNTER},
		{"broker_messages_rejected_total", "reason", dto.MetricType_COUNTER},
		{"broker_messages_dropped_by_grant_total", "cap", dto.MetricType_COUNTER},
		{"broker_legacy_auth_hits_total", "", dto.MetricType_COUNTER},
		{"broker_queue_depth", "", dto.MetricType_GAUGE},
		{"broker_ttl_sweeps_total", "", dto.MetricType_COUNTER}, // the original has a label without bounds
		{"broker_hook_requests_total", "", dto.MetricType_COUNTER},
		{"broker_hook_requests_rate_limited_total", "", dto.MetricType_COUNTER},
		{"broker_db_healthy", "", dto.MetricType_GAUGE},
	}
	held := func(labelled bool) {
		t.Helper()
		families := r.scrape()
		for _, w := range want {
			f := families[w.name]
			if f.GetType() != w.typ || len(f.GetMetric()) == 0 {
				t.Errorf("%s is %v, want a %v with a sample", w.name, f, w.typ)
			}
			for _, m := range f.GetMetric() {
				switch l := m.GetLabel(); {
				case len(l) == 0 && (w.label == "" || !labelled || w.name == "broker_messages_dropped_by_grant_total"):
				case len(l) == 1 && l[0].GetName() == w.label:
				default:
					t.Errorf("%s has the labels %v, want %q", w.name, l, w.label)
				}
			}
		}
	}
	held(false)
	if got := r.metric("broker_connections_rejected_total"); got != "0" {
		t.Errorf("before anything is refused it shows %q, want a 0 without labels", got)
	}
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	if err := ada.Write([]byte(`{"type":"no_such_thing"}`)); err != nil {
		t.Fatal(err)
	}
	stranger := session(r.member("eve", store.RoleMember))
	stranger.MemberID = "another"
	if p, err := dial.Dial(t.Context(), r.url, stranger, dial.Options{}); err == nil {
		p.Close()
		t.Fatal("a stranger was let in")
	}
	eventually(t, "both to be counted", func() bool {
		return r.metric("broker_connections_rejected_total") == "" && r.metric("broker_messages_rejected_total") == ""
	})
	held(true)
}

// TestCountersNeverFall scrapes a broker again and again while messages come and
// connections go. Within one scrape, the buckets of a histogram rise too.
func TestCountersNeverFall(t *testing.T) {
	r := newRig(t, nil)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	boID := session(r.member("bo", store.RoleMember))
	bo := r.dial(boID, dial.Options{ConfirmPushes: true})
	var load sync.WaitGroup
	stop := make(chan struct{})
	until := func(f func(i int)) {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	until(func(i int) {
		if _, err := ada.SendText(t.Context(), bo.Key(), sdk.PriorityNow, strconv.Itoa(i), dial.SendOptions{}); err != nil {
			t.Errorf("send: %v", err)
		}
	})
	until(func(int) {
		if _, err := bo.RecvMessage(t.Context()); err != nil {
			t.Errorf("receive: %v", err)
		}
	})
	guest := session(r.member("eve", store.RoleMember))
	load.Go(func() {
		for range 10 {
			p, err := dial.Dial(t.Context(), r.url, guest, dial.Options{})
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			p.Close()
		}
	})
	last := rising(t, r.scrape())
	for range 30 {
		now := rising(t, r.scrape())
		for series, was := range last {
			if is, there := now[series]; !there && series != "broker_connections_rejected_total" && series != "broker_messages_rejected_total" || is < was && there {
				t.Errorf("%s fell from %v to %v", series, was, is)
			}
		}
		last = now
	}
	eventually(t, "a message to arrive", func() bool { return rising(t, r.scrape())["broker_push_seconds count way=direct,"] > 0 })
	close(stop)
	if _, err := ada.SendText(t.Context(), bo.Key(), sdk.PriorityNow, "the last one", dial.SendOptions{}); err != nil { // wakes who receives
		t.Error(err)
	}
	load.Wait()
}

// rising returns everything of a scrape that may only rise.
func rising(t *testing.T, families map[string]*dto.MetricFamily) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			series := name
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetName() + "=" + l.GetValue() + ","
			}
			if labels != "" {
				series += " " + labels
			}
			switch f.GetType() { //nolint:exhaustive // gauges may fall
			case dto.MetricType_COUNTER:
				out[series] = m.GetCounter().GetValue()
			case dto.MetricType_SUMMARY:
				out[series+" sum"], out[series+" count"] = m.GetSummary().GetSampleSum(), float64(m.GetSummary().GetSampleCount())
			case dto.MetricType_HISTOGRAM:
				h := m.GetHistogram()
				out[name+" sum "+labels], out[name+" count "+labels] = h.GetSampleSum(), float64(h.GetSampleCount())
				var before uint64
				for _, b := range h.GetBucket() {
					if b.GetCumulativeCount() < before {
						t.Errorf("%s: up to %v there are fewer than before: %d, not %d", series, b.GetUpperBound(), b.GetCumulativeCount(), before)
					}
					before = b.GetCumulativeCount()
					out[fmt.Sprint(name, " le=", b.GetUpperBound(), " ", labels)] = float64(before)
				}
				if before > h.GetSampleCount() {
					t.Errorf("%s: %d in the buckets, %d in all", series, before, h.GetSampleCount())
				}
			}
		}
	}
	return out
}

// TestProcessFamilies holds the numbers of this process to what they can be.
func TestProcessFamilies(t *testing.T) {
	families := newRig(t, nil).scrape()
	value := func(name string) float64 {
		m := families[name].GetMetric()
		if len(m) != 1 {
			t.Fatalf("%s has %d samples, want one", name, len(m))
		}
		return m[0].GetGauge().GetValue() + m[0].GetCounter().GetValue()
	}
	now := float64(time.Now().Unix())
	for name, between := range map[string][2]float64{
		"process_cpu_seconds_total": {0.01, 1e5}, "process_resident_memory_bytes": {1 << 20, 1 << 36}, "process_start_time_seconds": {now - 86400, now + 2},
		"process_open_fds": {3, value("process_max_fds")}, "go_goroutines": {5, 1e6}, "go_memstats_sys_bytes": {1 << 20, 1 << 36},
		"go_info": {1, 1}, "broker_build_info": {1, 1},
	} {
		if got := value(name); got < between[0] || got > between[1] {
			t.Errorf("%s is %v, want one between %v and %v", name, got, between[0], between[1])
		}
	}
	if rss, virtual := value("process_resident_memory_bytes"), value("process_virtual_memory_bytes"); rss > virtual {
		t.Errorf("%v bytes are in memory, of %v", rss, virtual)
	}
	if m := families["go_gc_duration_seconds"].GetMetric(); len(m) != 1 || m[0].GetSummary() == nil {
		t.Errorf("go_gc_duration_seconds is %v, want a summary", m)
	}
}

// BenchmarkScrape is what one look at /metrics costs the broker with 1,000
// sessions, each of which has been sent a message.
func BenchmarkScrape(b *testing.B) {
	r := start(b, filepath.Join(b.TempDir(), "broker.db"), nil)
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	for i := range 1000 {
		id := session(r.member("member "+strconv.Itoa(i), store.RoleMember))
		p := r.dial(id, dial.Options{})
		r.send(ada, p.Key().String(), sdk.PriorityNow, "hello")
	}
	b.ReportAllocs()
	for b.Loop() {
		r.app.Metrics(telemetry.NewText(io.Discard))
	}
}
