package ratelimit

import (
	"fmt"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
)

func (b *buckets) len() (n int) {
	for i := range b.shard {
		n += len(b.shard[i].of)
	}
	return n
}

func TestSweep(t *testing.T) {
	minutes := func(n int) int64 { return int64(n) * time.Minute.Milliseconds() }
	tests := []struct {
		name  string
		rate  string
		burst int
		after int // minutes
		want  int // of 1000 buckets
	}{
		{"it keeps a bucket that was used nine minutes ago", "60/min", 10, 9, 1000},
		{"it forgets a bucket that was not used for ten minutes", "60/min", 10, 10, 0},
		{"it keeps one that is not full by then", "1/min", 30, 29, 1000},
		{"it forgets that one when it is full", "1/min", 30, 30, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rate, err := config.ParseRate(tt.rate)
			if err != nil {
				t.Fatal(err)
			}
			b := newBuckets(sizeOf(Limit{rate}, tt.burst))
			for i := range 1000 {
				b.take("mesh-1", fmt.Sprint("idle-", i), 0)
			}
			for i := range 1000 { // touches every shard
				b.take("mesh-1", fmt.Sprint("busy-", i), minutes(tt.after))
			}
			if got := b.len() - 1000; got != tt.want {
				t.Errorf("%d idle buckets are left, want %d", got, tt.want)
			}
		})
	}
}
