package presence

// Rename gives the sessions of a member on this node another display name,
// those that go by its old one: a session may have a name of its own. Other nodes
// see it with the session's row.
func (d *Directory) Rename(meshID, memberID, from, to string) {
	m := d.mesh(meshID)
	if m == nil {
		return
	}
	m.mu.RLock()
	var named []*Session
	for s := range m.sessions {
		if s.MemberID == memberID && !s.Elsewhere() {
			named = append(named, s)
		}
	}
	m.mu.RUnlock()
	for _, s := range named {
		d.change(s, func(*mesh) {
			if s.about.Name == from {
				s.about.Name = to
			}
		})
	}
}
