package wire

// SetStatus says what the session is doing. It has no answer.
type SetStatus struct {
	Status string `json:"status" required:"true" enum:"idle,working,dnd" doc:"idle takes every message, working and dnd only those of priority now"`
}

// FrameType returns set_status.
func (SetStatus) FrameType() string { return "set_status" }

// SetSummary says in a sentence what the session works on. It has no answer.
type SetSummary struct {
	Summary string `json:"summary" max:"8192" doc:"shown in peer lists; empty clears it"`
}

// FrameType returns set_summary.
func (SetSummary) FrameType() string { return "set_summary" }

// SetVisible hides the session from peer lists and from messages to groups and
// to everybody, or shows it again. Its answer is an [Ack] whose id is the
// _reqId and whose queued is false.
type SetVisible struct {
	Visible bool `json:"visible" required:"true" doc:"false hides"`
}

// FrameType returns set_visible.
func (SetVisible) FrameType() string { return "set_visible" }

// SetProfile changes how the session presents itself; keys that are absent stay
// as they are, null clears. Its answer is that of [SetVisible].
type SetProfile struct {
	Avatar       Patch[string]   `json:"avatar,omitzero" max:"8192" doc:"an emoji, a URL or a data URL"`
	Title        Patch[string]   `json:"title,omitzero" max:"256" doc:"a few words"`
	Bio          Patch[string]   `json:"bio,omitzero" max:"8192" doc:"a few sentences"`
	Capabilities Patch[[]string] `json:"capabilities,omitzero" max:"64" each:"256" doc:"what the session says it can do; the broker reads no meaning into it"`
}

// FrameType returns set_profile.
func (SetProfile) FrameType() string { return "set_profile" }

// SetStats reports the session's own counters, replacing the earlier report. It
// has no answer.
type SetStats struct {
	Stats Stats `json:"stats" required:"true" doc:"counters since the session began"`
}

// FrameType returns set_stats.
func (SetStats) FrameType() string { return "set_stats" }

// Stats are counters that a session reports about itself; nil ones were not
// given.
type Stats struct {
	MessagesIn  *float64 `json:"messagesIn,omitzero" doc:"messages received"`
	MessagesOut *float64 `json:"messagesOut,omitzero" doc:"messages sent"`
	ToolCalls   *float64 `json:"toolCalls,omitzero" doc:"tool calls made"`
	Uptime      *float64 `json:"uptime,omitzero" doc:"seconds since the session began"`
	Errors      *float64 `json:"errors,omitzero" doc:"errors met"`
}
