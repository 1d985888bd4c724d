package wire

// ProfileChanges is the eventData of profile_updated: the fields of the member's
// profile that somebody set, possibly none.
type ProfileChanges struct {
	DisplayName string        `json:"displayName,omitempty" doc:"the member's name; sessions that went by its old name go by this one now"`
	RoleTag     Patch[string] `json:"roleTag,omitzero" doc:"free text that describes the member's part; null when it was unset"`
	Groups      []Group       `json:"groups,omitzero" doc:"the groups that the member's next sessions begin with"`
	MessageMode string        `json:"messageMode,omitempty" doc:"push, inbox or off; only clients heed it"`
}
