package wire

import "time"

// ShareContext says what the sender's member knows, in place of what it said
// before, all of it; the sessions of a member share one context. Everybody else in
// the mesh gets a [StateChange] whose key is _context: and the member's name. Its
// answer is a [ContextShared]. Errors: invalid; forbidden; rate_limit.
type ShareContext struct {
	Summary     string   `json:"summary" required:"true" max:"16384" doc:"what it is about"`
	FilesRead   []string `json:"filesRead,omitempty" max:"1024" each:"1024" doc:"paths of files. With all lists together a context may have 65536 bytes"`
	KeyFindings []string `json:"keyFindings,omitempty" max:"256" each:"8192" doc:"what was found out"`
	Tags        []string `json:"tags,omitempty" max:"32" each:"128" doc:"words by which it is found"`
}

// FrameType returns share_context.
func (ShareContext) FrameType() string { return "share_context" }

// ContextShared answers a [ShareContext].
type ContextShared struct {
	ID    string `json:"id,omitempty" doc:"id of the member's context, always the same; absent when it was refused"`
	Error string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns context_shared.
func (ContextShared) FrameType() string { return "context_shared" }

// GetContext searches the contexts of the mesh. Its answer is a
// [ContextResults].
type GetContext struct {
	Query string `json:"query" required:"true" max:"1024" doc:"part of a summary, in any case, or a whole tag, exactly; no character stands for another one. An empty one finds all"`
}

// FrameType returns get_context.
func (GetContext) FrameType() string { return "get_context" }

// ContextResults answers a [GetContext]. An answer with more than a megabyte of
// contexts ends there.
type ContextResults struct {
	Contexts []ContextRow `json:"contexts" doc:"at most 20, the newest first, without those whose member does not let the asker read"`
	Error    string       `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns context_results.
func (ContextResults) FrameType() string { return "context_results" }

// ContextRow is the context of one member.
type ContextRow struct {
	PeerName    string    `json:"peerName" doc:"name of the member when it shared this"`
	Summary     string    `json:"summary" doc:"what it is about"`
	FilesRead   []string  `json:"filesRead" doc:"paths of files"`
	KeyFindings []string  `json:"keyFindings" doc:"what was found out"`
	Tags        []string  `json:"tags" doc:"words by which it is found"`
	UpdatedAt   time.Time `json:"updatedAt" doc:"when it was shared"`
}

// ListContexts asks for the summaries of all contexts. Its answer is a
// [ContextList].
type ListContexts struct{}

// FrameType returns list_contexts.
func (ListContexts) FrameType() string { return "list_contexts" }

// ContextList answers a [ListContexts]. An answer with more than a megabyte of
// contexts ends there.
type ContextList struct {
	Contexts []ContextBrief `json:"contexts" doc:"at most 500, the newest first, without those whose member does not let the asker read"`
	Error    string         `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns context_list.
func (ContextList) FrameType() string { return "context_list" }

// ContextBrief is the context of one member without its longer parts.
type ContextBrief struct {
	PeerName  string    `json:"peerName" doc:"name of the member when it shared this"`
	Summary   string    `json:"summary" doc:"what it is about"`
	Tags      []string  `json:"tags" doc:"words by which it is found"`
	UpdatedAt time.Time `json:"updatedAt" doc:"when it was shared"`
}
