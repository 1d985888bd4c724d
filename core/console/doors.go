package console

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/edge"
)

// Sign-ins that are remembered.
const (
	maxVisits = 32 // one more ends the oldest
	visitFor  = 12 * time.Hour
)

const (
	// steadyToken is from how many characters on nobody guesses a token, so that who
	// brings it is let in however many wrong ones came from the same address. Those
	// that the broker makes are longer.
	steadyToken = 24

	// warnEvery is how often it is logged that somebody guesses.
	warnEvery = time.Minute
)

// visit is one browser that showed the token.
type visit struct {
	until time.Time
	ended chan struct{} // closed when it signs out or has to make room
}

// doors knows who may come in. It may be used by many goroutines at once.
type doors struct {
	token  [sha256.Size]byte
	steady bool // see steadyToken
	edge   *edge.Edge
	cookie string // its name, set before requests come
	log    *slog.Logger

	mu     sync.Mutex
	visits map[string]*visit // by the cookie's value
	warned time.Time         // that somebody guesses
}

func newDoors(o Options) *doors {
	token := o.Token.Reveal()
	return &doors{
		token: sha256.Sum256([]byte(token)), steady: len(token) >= steadyToken, edge: newEdge(o),
		cookie: "broker_console", log: o.Log, visits: map[string]*visit{},
	}
}

// newEdge returns what tells who calls, and holds them to twenty wrong tokens at
// once, then one in six seconds. It is not that of the other ports: what somebody
// guesses there keeps nobody out here.
func newEdge(o Options) *edge.Edge {
	limit := config.Limit{Rate: config.Rate{Count: 10, Per: time.Minute}}
	return edge.New(edge.Options{Proxies: o.Proxies, Guesses: edge.Rate{Limit: limit, Burst: 20}, Log: o.Log})
}

// name sets the cookie's name. Browsers send cookies to all ports of a host, so
// the port is in it: two brokers on one machine do not sign each other out.
func (d *doors) name(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		d.cookie += "_" + strconv.Itoa(tcp.Port)
	}
}

// fits reports whether a token is the right one, and else how long its sender
// has to wait before the next, if at all. The time that it takes says nothing of
// the token. A right one that could have been guessed has to wait like a wrong one.
func (d *doors) fits(token string, from netip.Addr) (ok bool, wait time.Duration) {
	sum := sha256.Sum256([]byte(token))
	right := subtle.ConstantTimeCompare(sum[:], d.token[:]) == 1
	if right && d.steady {
		return true, 0
	}
	if wait, ok := d.edge.Allowed(from); !ok {
		return false, max(wait, time.Second)
	}
	if right {
		return true, 0
	}
	d.edge.Failed(from)
	if _, ok := d.edge.Allowed(from); !ok {
		d.warn(from, time.Now())
	}
	return false, 0
}

// warn logs that an address has reached the limit, at most once a minute for all
// of them together.
func (d *doors) warn(from netip.Addr, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.warned.IsZero() && now.Sub(d.warned) < warnEvery {
		return
	}
	d.warned = now
	d.log.Warn("too many wrong tokens for the console: the address has to wait between two", slog.String("address", from.String()))
}

// enter begins a visit and returns its cookie's value.
func (d *doors) enter(now time.Time) string {
	id := rand.Text() + rand.Text() // 260 bits
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	if len(d.visits) >= maxVisits {
		d.end(d.oldest())
	}
	d.visits[id] = &visit{until: now.Add(visitFor), ended: make(chan struct{})}
	return id
}

// visit returns the visit of a request's cookie, nil for none.
func (d *doors) visit(r *http.Request, now time.Time) *visit {
	c, err := r.Cookie(d.cookie)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	return d.visits[c.Value]
}

// leave ends the visit of a request's cookie.
func (d *doors) leave(r *http.Request) {
	c, err := r.Cookie(d.cookie)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end(c.Value)
}

// sweep ends visits whose time is over. The caller holds the lock.
func (d *doors) sweep(now time.Time) {
	for id, v := range d.visits {
		if !now.Before(v.until) {
			d.end(id)
		}
	}
}

func (d *doors) oldest() string {
	ids := make([]string, 0, len(d.visits))
	for id := range d.visits {
		ids = append(ids, id)
	}
	return slices.MinFunc(ids, func(a, b string) int {
		return cmp.Or(d.visits[a].until.Compare(d.visits[b].until), strings.Compare(a, b))
	})
}

// end forgets a visit, if there is one. The caller holds the lock.
func (d *doors) end(id string) {
	if v := d.visits[id]; v != nil {
		close(v.ended)
		delete(d.visits, id)
	}
}
