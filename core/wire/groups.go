package wire

// Group is a membership in a named group, reached by sending to @name. A
// message to a reaches a/b too.
type Group struct {
	Name string `json:"name" required:"true" rule:"group" doc:"1 to 128 bytes; slashes make a hierarchy"`
	Role string `json:"role,omitempty" max:"256" doc:"free text that only other members read"`
}

// JoinGroup puts the session into a group. It has no answer. Joining again
// replaces the role.
type JoinGroup struct {
	Name string `json:"name" required:"true" rule:"group" doc:"1 to 128 bytes; slashes make a hierarchy"`
	Role string `json:"role,omitempty" max:"256" doc:"free text that only other members read"`
}

// FrameType returns join_group.
func (JoinGroup) FrameType() string { return "join_group" }

// LeaveGroup takes the session out of a group, if it is in it. It has no answer.
type LeaveGroup struct {
	Name string `json:"name" required:"true" max:"128" doc:"exact name"`
}

// FrameType returns leave_group.
func (LeaveGroup) FrameType() string { return "leave_group" }
