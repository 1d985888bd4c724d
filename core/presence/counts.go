package presence

// Counts are the sessions of one mesh, as this node knows them.
type Counts struct {
	Here  int // connected to this node
	There int // connected to another node, as far as the mirror has it
	Away  int // of this node, in their grace time or on their way
}

// Counts counts the sessions of every mesh that has any. It looks at each
// session under its mesh's read lock: it is for people, who ask every few
// seconds, and not for what runs with each message.
func (d *Directory) Counts() map[string]Counts {
	counts := map[string]Counts{}
	for _, m := range d.all() {
		var n Counts
		m.mu.RLock()
		for s := range m.sessions {
			switch {
			case s.conn != nil:
				n.Here++
			case s.there:
				n.There++
			case !s.Elsewhere():
				n.Away++
			}
		}
		m.mu.RUnlock()
		if n != (Counts{}) {
			counts[m.id] = n
		}
	}
	return counts
}
