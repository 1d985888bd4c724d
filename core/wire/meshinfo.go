package wire

// MeshInfo asks for an overview of the mesh. Its answer is a [MeshInfoResult].
type MeshInfo struct{}

// FrameType returns mesh_info.
func (MeshInfo) FrameType() string { return "mesh_info" }

// MeshInfoResult answers a [MeshInfo].
type MeshInfoResult struct {
	Mesh        string     `json:"mesh" doc:"id of the mesh"`
	Peers       int64      `json:"peers" doc:"open sessions; hidden ones only of the asker's own member"`
	Groups      []string   `json:"groups" doc:"groups that any of these is in, each with a leading @"`
	StateKeys   []string   `json:"stateKeys" doc:"keys of the shared state"`
	MemoryCount int64      `json:"memoryCount" doc:"memories kept"`
	FileCount   int64      `json:"fileCount" doc:"files kept"`
	Tasks       TaskCounts `json:"tasks" doc:"tasks by status"`
	Streams     []string   `json:"streams" doc:"names of streams"`
	Tables      []string   `json:"tables" doc:"tables of the mesh's database"`
	Collections []string   `json:"collections" doc:"always empty"`
	YourName    string     `json:"yourName" doc:"the asker's display name"`
	YourGroups  []Group    `json:"yourGroups" doc:"the asker's groups"`
}

// FrameType returns mesh_info_result.
func (MeshInfoResult) FrameType() string { return "mesh_info_result" }

// TaskCounts counts tasks by status.
type TaskCounts struct {
	Open    int64 `json:"open" doc:"nobody has taken them"`
	Claimed int64 `json:"claimed" doc:"somebody works on them"`
	Done    int64 `json:"done" doc:"finished"`
}
