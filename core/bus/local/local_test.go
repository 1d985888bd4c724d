package local_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/bustest"
	"github.com/claudemesh/broker/core/bus/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBus(t *testing.T) { bustest.Run(t, rig) }

func BenchmarkBus(b *testing.B) { bustest.Bench(b, rig) }

// rig plays the server with the exchange's knobs.
func rig(testing.TB) bustest.Rig {
	e := local.NewExchange()
	var buses []*local.Bus
	return bustest.Rig{
		Open: func(testing.TB) bus.Bus {
			b := e.Join()
			buses = append(buses, b)
			return b
		},
		Stop: func(testing.TB) {
			for _, b := range buses {
				b.Cut()
			}
		},
		Start: func(testing.TB) {
			for _, b := range buses {
				b.Mend()
			}
		},
	}
}

func TestDropIf(t *testing.T) {
	e := local.NewExchange()
	a, b := e.Join(), e.Join()
	defer a.Close(t.Context())
	defer b.Close(t.Context())
	heard := make(chan string, 3)
	b.OnLost(func() { t.Error("a loss was told") })
	b.Subscribe("x", func(data []byte) { heard <- string(data) })
	e.DropIf(func(_ string, data []byte) bool { return string(data) == "2" })
	a.Publish("x", []byte("1"))
	a.Publish("x", []byte("2"))
	e.DropIf(nil)
	a.Publish("x", []byte("3"))
	if got := []string{<-heard, <-heard}; got[0] != "1" || got[1] != "3" {
		t.Errorf("heard %q, want 1 and 3", got)
	}
}
