package sdk

// Copy makes into a copy of the envelope that a stage may judge aside: notes,
// records, a hold and a narrower audience stay on the copy. Both share the Body
// and the Directory. A copy of an envelope whose audience is resolved has that
// audience; otherwise it resolves its own.
//
// Copy keeps the buffers that into has, so that one envelope can be the copy of
// many without an allocation. A copy of the zero Envelope forgets what into had.
func (e *Envelope) Copy(into *Envelope) {
	attributes, records, audience := into.Attributes[:0], into.Records[:0], into.audience[:0]
	clear(into.Attributes)
	clear(into.Records)
	clear(into.audience)
	*into = *e
	into.Attributes = append(attributes, e.Attributes...)
	into.Records = append(records, e.Records...)
	if cap(audience) == 0 {
		audience = into.recipient[:0]
	}
	into.audience = append(audience, e.audience...)
}
