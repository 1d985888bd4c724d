package hop

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func tripOptions() Options {
	return Options{Deadline: time.Second, Breaker: BreakerOptions{Failures: 50, Batches: 10, Misses: 3, Open: time.Second}}
}

// ask is one request of a member that ends with an error. It reports whether it
// was asked at all.
func (t *trips) ask(mesh, member string, err error) bool {
	report, ok := t.allow(mesh, member)
	if ok {
		report(err)
	}
	return ok
}

func TestTrips(t *testing.T) {
	slow := errors.New("slow")
	for name, tt := range map[string]struct {
		do   func(*trips)
		open bool // for the mesh that does it; it never is for another one
	}{
		"one member's misses shut nothing": {func(tr *trips) {
			for range 100 {
				tr.ask("m", "ada", slow)
			}
		}, false},
		"those of several shut their mesh": {func(tr *trips) {
			for _, who := range []string{"ada", "bo", "cy"} {
				tr.ask("m", who, slow)
			}
		}, true},
		"an answer in between begins anew": {func(tr *trips) {
			for _, who := range []string{"ada", "bo"} {
				tr.ask("m", who, slow)
			}
			time.Sleep(time.Millisecond)
			tr.ask("m", "di", nil)
			time.Sleep(time.Millisecond)
			for _, who := range []string{"ada", "cy"} {
				tr.ask("m", who, slow)
			}
		}, false},
		"half of what many ask for shuts it": {func(tr *trips) {
			for i := range 30 {
				tr.ask("m", "di", nil)
				tr.ask("m", fmt.Sprint("slow ", i), slow)
			}
		}, true},
		"one who is slow beside one who is not shuts nothing": {func(tr *trips) {
			for range 100 {
				tr.ask("m", "ada", slow)
				tr.ask("m", "bo", nil)
			}
		}, false},
		"members who miss once in a long while are not in a row": {func(tr *trips) {
			for _, who := range []string{"ada", "bo", "cy", "di"} {
				tr.ask("m", who, slow)
				time.Sleep(3 * time.Second)
			}
		}, false},
		"a crash counts for nobody": {func(tr *trips) {
			for i := range 30 {
				tr.ask("m", fmt.Sprint(i), errLost)
			}
		}, false},
		"it is tried again": {func(tr *trips) {
			for _, who := range []string{"ada", "bo", "cy"} {
				tr.ask("m", who, slow)
			}
			time.Sleep(2 * time.Second)
			tr.ask("m", "ada", nil)
		}, false},
		"a trial that fails shuts it again, whoever's it is": {func(tr *trips) {
			for _, who := range []string{"ada", "bo", "cy"} {
				tr.ask("m", who, slow)
			}
			time.Sleep(1100 * time.Millisecond)
			tr.ask("m", "ada", slow)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrips(tripOptions())
				tt.do(tr)
				if got := !tr.ask("m", "eve", nil); got != tt.open {
					t.Errorf("open %v, want %v: %s", got, tt.open, tr.state())
				}
				if got := !tr.ask("n", "eve", nil); got {
					t.Error("it is open for another mesh")
				}
			})
		})
	}
}

// Meshes whose failures are long over are forgotten.
func TestTripsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrips(tripOptions())
		for i := range 100 {
			tr.ask(fmt.Sprint(i), "ada", errors.New("slow"))
		}
		if len(tr.of) != 100 {
			t.Errorf("%d breakers", len(tr.of))
		}
		time.Sleep(3 * time.Second)
		if tr.ask("m", "ada", errors.New("slow")); len(tr.of) != 1 || tr.state() != "closed" {
			t.Errorf("%d breakers, %s", len(tr.of), tr.state())
		}
	})
}
