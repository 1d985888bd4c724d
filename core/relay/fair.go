package relay

// roomLocked reports whether n more bytes of answers may wait for a member.
func (r *Relay) roomLocked(member string, n int) bool {
	return r.bytes+n <= mostWaiting && r.held[member]+n <= mostOfMember
}

// holdLocked counts bytes of answers that wait for a member, or do no longer.
func (r *Relay) holdLocked(member string, n int) {
	r.bytes += n
	if r.held[member] += n; r.held[member] == 0 {
		delete(r.held, member)
	}
}

// turnLocked returns the answer that begins next where its node has room, nil for
// none: of those that wait the one whose member has the fewest on their way to that
// node, and of these the oldest. So one that asks for much holds up nobody else.
func (r *Relay) turnLocked() (next *sending) {
	type way struct{ node, member string }
	begun := map[way]int{}
	for _, s := range r.queue {
		if s.begun {
			begun[way{s.Node, s.Member}]++
		}
	}
	for _, s := range r.queue {
		if s.begun || r.sending[s.Node] >= mostSending {
			continue
		}
		if next == nil || begun[way{s.Node, s.Member}] < begun[way{next.Node, next.Member}] {
			next = s
		}
	}
	return next
}

// giveWayLocked makes room for an answer among those of the same session, where one
// member has asked for more of these than the one that it is for: the newest that
// have not begun give way. It returns them, and the parts that go in their place.
func (r *Relay) giveWayLocked(s *sending) (out []*sending, parts []letter) {
	for r.roomLocked(s.Member, len(s.frame)) && r.unsentLocked(s.Asked)+len(s.frame) > mostOfOne {
		i := r.greediestLocked(s)
		if i < 0 {
			break
		}
		out = append(out, r.queue[i])
		parts = append(parts, r.dropLocked(i)...)
	}
	return out, parts
}

// greediestLocked returns the place of the newest answer of the session that has not
// begun, and is for the member that most of them are for; -1 where nobody has more
// than the member of s would have with s.
func (r *Relay) greediestLocked(s *sending) (place int) {
	bytes := map[string]int{s.Member: len(s.frame)}
	for _, o := range r.queue {
		if o.Asked == s.Asked {
			bytes[o.Member] += len(o.frame)
		}
	}
	place, most := -1, bytes[s.Member]
	for i, o := range r.queue {
		if o.Asked == s.Asked && !o.begun && o.Member != s.Member && bytes[o.Member] >= most && bytes[o.Member] > bytes[s.Member] {
			place, most = i, bytes[o.Member]
		}
	}
	return place
}
