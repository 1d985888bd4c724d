package outbox_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/internal/outbox"
)

// taken is what a batch holds, as text.
func taken(b *outbox.Batch) (got []string) {
	for _, m := range b.Messages {
		got = append(got, m.Subject+" "+string(m.Data))
	}
	return got
}

func TestTakeKeepsOrderOverGrowingBuffers(t *testing.T) {
	o := outbox.New()
	o.Open()
	var b outbox.Batch
	for round := range 3 {
		var want []string
		for i := range 1000 {
			text := strconv.Itoa(round*1000 + i)
			o.Put("x", []byte(text))
			want = append(want, "x "+text)
		}
		o.Take(&b)
		o.Put("x", []byte("later")) // is not to be seen in what was taken
		if got := taken(&b); !slices.Equal(got, want) || b.Dropped {
			t.Fatalf("round %d: got %.100q, dropped %t", round, got, b.Dropped)
		}
		o.Take(&b)
		if got := taken(&b); !slices.Equal(got, []string{"x later"}) {
			t.Fatalf("round %d: got %q", round, got)
		}
	}
}

func TestBoundsAreTold(t *testing.T) {
	tests := []struct {
		name    string
		size    int
		holds   uint64
		offered int
	}{
		{"it holds 10,000 messages", 1, 10_000, 10_001},
		{"it holds 4 MiB", bus.MaxPayload - 1, 16, 20}, // the subject is counted too
		{"it holds no message that is too large", bus.MaxPayload + 1, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := outbox.New()
			o.Open()
			for range tt.offered {
				o.Put("x", make([]byte, tt.size))
			}
			published, dropped := o.Counts()
			if published != tt.holds || dropped != uint64(tt.offered)-tt.holds {
				t.Errorf("published %d and dropped %d, want %d of %d held", published, dropped, tt.holds, tt.offered)
			}
			var b outbox.Batch
			if o.Take(&b); !b.Dropped {
				t.Error("the batch does not tell of the loss")
			}
			if o.Take(&b); b.Dropped {
				t.Error("the loss is told twice")
			}
		})
	}
}

func TestShutDropsWhatWaits(t *testing.T) {
	o := outbox.New()
	o.Open()
	o.Put("x", nil)
	<-o.Wake
	o.Shut()
	o.Put("x", nil)
	o.Open()
	<-o.Wake // there is a loss to tell of
	var b outbox.Batch
	o.Take(&b)
	if _, dropped := o.Counts(); len(b.Messages) != 0 || !b.Dropped || dropped != 2 {
		t.Errorf("got %d messages, told %t, dropped %d; want 0, true, 2", len(b.Messages), b.Dropped, dropped)
	}
}

func TestPutDoesNotAllocate(t *testing.T) {
	o := outbox.New()
	o.Open()
	var b outbox.Batch
	data := make([]byte, 200)
	publish := func() {
		for range 100 {
			o.Put("mesh.some.key", data)
		}
		o.Take(&b)
	}
	publish()
	publish() // both buffers have grown
	if n := testing.AllocsPerRun(100, publish); n > 0 {
		t.Errorf("100 messages cost %v allocations", n)
	}
}
