package presence

import (
	"testing"
	"time"
)

// A client that goes from one node to another may be on the new one before the
// old one knows that its connection has ended. What the old one then says, with
// a newer version, must not end the connection on the new one.
func TestOldNodeNoticesLateThatASessionMoved(t *testing.T) {
	for name, connected := range map[string]bool{"when it is connected": true, "between its hello and its connection": false} {
		t.Run(name, func(t *testing.T) {
			a, b, rows := twoNodes(t)
			s, c := a.come(arrival("ada", "s1"))
			b.mirror(rows(a))
			at, d := b.attach(arrival("ada", "s1")), new(conn)
			if connected {
				b.Online(at, d)
			}
			a.pass(time.Second)
			a.SetStatus(s, Working, Hook)
			a.Leave(s, c, false)
			b.mirror(rows(a))
			if !connected {
				b.Online(at, d)
			}
			a.mirror(rows(b))
			if d.how() != "" {
				t.Errorf("the new connection was closed with %q", d.how())
			}
			if _, live := b.Live(at.Session); !live {
				t.Error("the session is over on the new node")
			}
			if v := a.Views("mesh"); len(v) != 1 || !v[0].Elsewhere() || !v[0].Online {
				t.Errorf("the old node shows %+v, want the session connected elsewhere", v)
			}
			if n := len(rows(a)); n != 0 {
				t.Errorf("the old node wrote %d rows more", n)
			}
		})
	}
}

// A node that was frozen gives up what another one took over, whatever it says
// first, and also when the session has left that node since.
func TestFrozenNodeInsistsOnNothing(t *testing.T) {
	a, b, rows := twoNodes(t)
	_, c := a.come(arrival("ada", "s1"))
	b.mirror(rows(a))
	at, d := b.attach(arrival("ada", "s1")), new(conn)
	b.Online(at, d)
	b.Leave(at.Session, d, false)
	ofB := rows(b)
	a.pass(time.Minute)
	a.Republish()
	b.mirror(rows(a))
	a.mirror(ofB)
	a.mirror(rows(b))
	if c.how() != "1000 session_replaced" {
		t.Errorf("the old connection was closed with %q", c.how())
	}
	if v := a.Views("mesh"); len(v) != 1 || !v[0].Elsewhere() {
		t.Errorf("the frozen node shows %+v, want the session elsewhere", v)
	}
	if _, live := b.Live(at.Session); !live {
		t.Error("the session is over on the node that took it over")
	}
}
