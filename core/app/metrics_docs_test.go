package app_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/telemetry"
)

// metricsPage is in front of the tables of docs/metrics.md.
const metricsPage = `# Metrics

<!-- Made by go test ./core/app -run MetricsDoc -update; edit the help and the labels in core/app/metrics*.go instead. -->

` + "`GET /metrics`" + ` shows these in Prometheus' text form, on the broker's port or, with
` + "`http.ops_listen`" + `, on the operators' alone. The same numbers under the same names go to a
receiver of OTLP where the config (` + "`telemetry.metrics`" + `, see [the reference](../configs/reference.md)) or
the standard variables ` + "`OTEL_*`" + ` say so.

- Counters and histograms count from the start of the process; in OTLP they are cumulative.
- Each replica counts for itself: sum over them. ` + "`broker_queue_depth`, `broker_queue_oldest_seconds`, `broker_files`," + `
  ` + "`broker_files_bytes`, `broker_topic_messages` and `broker_db_healthy`" + ` are about the store that they share: take the
  maximum, or the minimum of the last.
- Histograms have buckets of doubling width: from 1 µs to 16 s for what somebody waits for, to 19 hours for
  ` + "`broker_push_seconds`" + `, in which a message may wait for its recipient. Those of ` + "`broker_stage_seconds`" + ` have
  the edges 1, 2.5 and 5 of each power of ten, from 100 ns to 10 s, and 30 s: a stage may take less than 1 µs.
- A stranger's words are never a label's value: kinds of messages that no stage names count as ` + "`*`" + `, paths that
  nobody has as the empty route. So the number of series depends on the config alone.
- Failures, what on_failure made of them, restarts of plugins, and whatever has an outcome are there with 0 before
  the first one, so that increase() sees it.
- A route is counted by its status (` + "`broker_http_requests_total`" + `), ` + "`/v1`" + ` too, and a refusal by its reason
  (` + "`broker_refusals_total`" + `). Families about one thing say more of it, and are not to be added to these.
- What a broker does not have, it does not show: plugins, other replicas, a pool of connections (the embedded
  store has none), reloads, traces, files, watches, databases of meshes. ` + "`process_*`" + ` are read in ` + "`/proc`" + `, and only there.
- The original's families come first, with its names, types and labels; without a sample they show one 0 without
  labels, as it does. [compat.md](compat.md) says what was wrong with them.
`

// TestMetricsDoc holds docs/metrics.md to what the broker gives.
func TestMetricsDoc(t *testing.T) {
	const path = "../../docs/metrics.md"
	want := metricsDoc(catalogueOf(t, newEverything(t).app).families)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: write it with go test ./core/app -run MetricsDoc -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it is not what the code says: refresh it with go test ./core/app -run MetricsDoc -update\n%s", cmp.Diff(string(got), string(want)))
	}
}

func metricsDoc(families []telemetry.Family) []byte {
	var b bytes.Buffer
	b.WriteString(metricsPage)
	for _, part := range []struct{ title, prefix string }{
		{"The broker", "broker_"}, {"The process", "process_"}, {"Go's runtime", "go_"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| Name | Type | Labels | What it is |\n| --- | --- | --- | --- |\n", part.title)
		for _, f := range families {
			if strings.HasPrefix(f.Name, part.prefix) {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, labelCell(f.Labels), cell(f.Help))
			}
		}
	}
	return b.Bytes()
}

func labelCell(labels []telemetry.Label) string {
	parts := make([]string, 0, len(labels))
	for _, l := range labels {
		parts = append(parts, "`"+l.Name+"`: "+cell(l.Values))
	}
	return strings.Join(parts, "<br>")
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}
