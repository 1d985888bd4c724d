package app_test

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// actor is a peer of a transcript. Its options are
//
//	session   says session_hello, as the newest clients' sessions do; the default
//	base      says hello with a session key, as the oldest clients do
//	daemon    says hello without a session key, as the newest clients' daemons do
//	raw       says nothing until the transcript does
//	stranger  is no member
//	owner     holds the owner's key
//	admin     is an admin
//	of=ada    is another connection of ada's member
//	group=x   names a group in its hello; may be given several times
//	events    shows the transcript its events too
type actor struct {
	name    string
	id      dial.Identity
	at      time.Time // of the signatures
	base    bool
	raw     bool
	events  bool
	greeted bool // has a session
	gone    bool // has no connection
	socket  *socket
}

// enter makes a peer and connects it.
func (p *play) enter(name string, options []string) {
	p.t.Helper()
	a := &actor{name: name, base: words(&options, "base"), raw: words(&options, "raw"), events: words(&options, "events")}
	switch other := setting(&options, "of"); {
	case other != "":
		a.id = p.actor(other).id
	case words(&options, "stranger"):
		_, secret := identity.NewKeypair()
		a.id = dial.Identity{MeshID: p.r.mesh.ID, MemberID: identity.NewID(), Key: secret}
	case words(&options, "owner"):
		a.id = p.owner(name)
	case words(&options, "admin"):
		a.id = p.r.member(name, store.RoleAdmin)
	default:
		a.id = p.r.member(name, store.RoleMember)
	}
	a.id.SessionKey = nil
	if words(&options, "daemon") {
		a.base, a.id.Channel = true, "claudemesh-daemon"
	} else {
		_, a.id.SessionKey = identity.NewKeypair()
	}
	words(&options, "session")
	a.id.DisplayName, a.id.SessionID, a.id.Pid = name, "launch-"+name, 7
	a.id.Cwd, a.id.Hostname, a.id.PeerType = "/src/"+name, "host-"+name, "ai"
	for group := setting(&options, "group"); group != ""; group = setting(&options, "group") {
		a.id.Groups = append(a.id.Groups, wire.Group{Name: group})
	}
	if len(options) > 0 {
		p.fail("unknown options %q", options)
	}
	p.peers[name] = a
	p.connect(a)
}

// owner enrols the member that has the mesh's owner key.
func (p *play) owner(name string) dial.Identity {
	p.t.Helper()
	m := &store.Member{
		ID: identity.NewID(), MeshID: p.r.mesh.ID, Key: p.r.mesh.OwnerKey, DisplayName: name,
		Role: store.RoleAdmin, MessageMode: "push", JoinedAt: time.Now(),
	}
	if err := p.r.store.AddMember(context.Background(), m); err != nil {
		p.fail("enrol the owner: %v", err)
	}
	return dial.Identity{MeshID: m.MeshID, MemberID: m.ID, Key: p.r.owner}
}

// connect opens a socket and, unless the transcript does, says hello.
func (p *play) connect(a *actor) {
	p.t.Helper()
	a.at, a.gone = time.Now(), false
	a.socket = open(p.t, p.r.url, socketOptions{})
	if a.raw {
		return
	}
	frame, err := wire.Append(nil, a.hello())
	if err != nil {
		p.fail("hello: %v", err)
	}
	a.socket.write(string(frame))
	a.socket.wantFrame("hello_ack")
	a.greeted = true
	a.socket.settle()
	// From here on it gets at once what its siblings get: what one of them confirms
	// is over for who still reads what waited.
	eventually(p.t, "a session that has all that waited for it", func() bool { return p.r.app.Catching() == 0 })
}

func (a *actor) hello() wire.Frame {
	if a.base {
		return a.id.Hello(a.at)
	}
	return a.id.SessionHello(a.at)
}

// leave ends a peer's connection and waits until the broker knows.
func (p *play) leave(a *actor, how func(*socket)) {
	p.t.Helper()
	how(a.socket)
	a.gone = true
	eventually(p.t, a.name+" to be gone", func() bool {
		for _, v := range p.r.app.Views(p.r.mesh.ID) {
			if v.Routing() == a.id.RoutingKey() && v.Online {
				return false
			}
		}
		return true
	})
}

// grant writes what a member allows another.
func (p *play) grant(to, from *actor, capabilities []string) {
	p.t.Helper()
	allowed := []store.Capability{}
	for _, c := range capabilities {
		allowed = append(allowed, store.Capability(c))
	}
	_, err := p.r.store.ChangeMember(context.Background(), to.id.MemberID, func(m *store.Member) error {
		m.Grants = store.Grants{identity.PublicKey(from.id.Key): allowed}
		return nil
	})
	if err != nil {
		p.fail("grant: %v", err)
	}
	p.r.app.Forget(to.id.MemberID)
}

// vars is what can be said about a peer: $ada is its routing key, $ada.member
// its member's. The proofs are those of a hello or a session_hello at
// $ada.time.
func (a *actor) vars() map[string]string {
	member := identity.PublicKey(a.id.Key)
	hello := identity.SignHello(a.id.Key, a.id.MeshID, a.id.MemberID, a.at)
	vars := map[string]string{
		"":         a.id.RoutingKey().String(),
		"member":   member.String(),
		"memberid": a.id.MemberID,
		"time":     strconv.FormatInt(a.at.UnixMilli(), 10),
		"signed":   hello.Signature,
	}
	if a.id.SessionKey != nil {
		until := a.at.Add(12 * time.Hour)
		vars["until"] = strconv.FormatInt(until.UnixMilli(), 10)
		vars["attested"] = identity.SignAttestation(a.id.Key, identity.PublicKey(a.id.SessionKey), until).Signature
		vars["session_signed"] = identity.SignSessionHello(a.id.SessionKey, a.id.MeshID, member, a.at).Signature
		vars["session_proof"] = identity.SignSessionProof(a.id.SessionKey, a.id.MeshID, member, a.at).Signature
	}
	return vars
}

// known returns the variable that a value is the value of.
func (p *play) known(value string) (name string, ok bool) {
	if value == p.r.mesh.ID {
		return "$mesh", true
	}
	best := ""
	for peer, a := range p.peers {
		for field, v := range a.vars() {
			name := strings.TrimSuffix("$"+peer+"."+field, ".")
			if v == value && (best == "" || cmp.Compare(len(name), len(best)) < 0) {
				best = name
			}
		}
	}
	return best, best != ""
}
