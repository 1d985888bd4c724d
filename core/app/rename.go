package app

// signalRename has a node rename a member's sessions.
const signalRename = "rename"

// newName is what sessions of a member are to be called that go by its old name.
type newName struct {
	Mesh   string `json:"mesh"`
	Member string `json:"member"`
	From   string `json:"from"`
	To     string `json:"to"`
}

// Rename gives a member's sessions, on every node, its new display name, those
// that go by its old one.
func (a *App) Rename(mesh, memberID, from, to string) {
	n := newName{mesh, memberID, from, to}
	a.renameHere(n)
	a.signal(signalRename, n)
}

func (a *App) renameHere(n newName) { a.dir.Rename(n.Mesh, n.Member, n.From, n.To) }
