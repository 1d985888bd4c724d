package wire

import "time"

// Remember leaves a note for the other members of the mesh. Its answer is a
// [MemoryStored]. Who leaves the same content with the same tags again gets the id
// of the first. Errors: invalid; forbidden; capacity when there are too many.
type Remember struct {
	Content string   `json:"content" required:"true" max:"32768" doc:"the note: any text, at least one byte"`
	Tags    []string `json:"tags,omitempty" max:"32" each:"128" doc:"words about it, which are not searched"`
}

// FrameType returns remember.
func (Remember) FrameType() string { return "remember" }

// MemoryStored answers a [Remember].
type MemoryStored struct {
	ID       string `json:"id,omitempty" doc:"id of the memory; absent when it was refused"`
	MemoryID string `json:"memoryId,omitempty" doc:"the same, under the name that the newest clients look for"`
	Error    string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns memory_stored.
func (MemoryStored) FrameType() string { return "memory_stored" }

// Recall searches the memories of the mesh for all words of a query: runs of
// letters and digits, in any case, with their English endings left aside. The most
// common English words are ignored, and nothing in a query is an operator. Its
// answer is a [MemoryResults], and behind it the same as a [MemoryRecallResult].
type Recall struct {
	Query string `json:"query" required:"true" max:"1024" doc:"words that the content has to have, all of them"`
}

// FrameType returns recall.
func (Recall) FrameType() string { return "recall" }

// MemoryResults answers a [Recall]. An answer with more than a megabyte of
// memories ends there.
type MemoryResults struct {
	Memories []MemoryRow `json:"memories" doc:"at most 20, those that fit best first, without those whose author does not let the asker read"`
	Error    string      `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns memory_results.
func (MemoryResults) FrameType() string { return "memory_results" }

// Twin implements [Twofold].
func (m MemoryResults) Twin() Frame { return MemoryRecallResult{Matches: m.Memories, Error: m.Error} }

// MemoryRecallResult is a [MemoryResults] for the newest clients.
type MemoryRecallResult struct {
	Matches []MemoryRow `json:"matches" doc:"what memory_results has in memories"`
	Error   string      `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns memory_recall_result.
func (MemoryRecallResult) FrameType() string { return "memory_recall_result" }

// MemoryRow is one memory.
type MemoryRow struct {
	ID           string    `json:"id" doc:"id of the memory"`
	Content      string    `json:"content" doc:"the note"`
	Tags         []string  `json:"tags" doc:"words about it"`
	RememberedBy string    `json:"rememberedBy" doc:"name, at that time, of the member that left it"`
	RememberedAt time.Time `json:"rememberedAt" doc:"when"`
}

// Forget deletes a memory: one of the sender's member, or, for the owner of the
// mesh and its admins, any. Its answer is an [Ack] with the memory's id in id and
// messageId, also where there is no such memory, or none any more. Errors, in the
// same shape: invalid; forbidden.
type Forget struct {
	MemoryID string `json:"memoryId" required:"true" max:"256" doc:"id of the memory"`
}

// FrameType returns forget.
func (Forget) FrameType() string { return "forget" }
