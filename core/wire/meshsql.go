package wire

import "github.com/go-json-experiment/json/jsontext"

// MeshQuery asks the database of the mesh, which no statement of this kind can
// change. Its answer is a [MeshQueryResult]. Errors, in its error: query_error with
// what the database says; rate_limit; not_available; invalid.
type MeshQuery struct {
	SQL string `json:"sql" required:"true" max:"32768" doc:"one statement"`
}

// FrameType returns mesh_query.
func (MeshQuery) FrameType() string { return "mesh_query" }

// MeshExecute changes the database of the mesh, which is made with the first one.
// Its answer is a [MeshQueryResult]. Errors, in its error: execute_error with what
// the database says; forbidden without canWriteState; capacity when the mesh has no
// room left; rate_limit; not_available; invalid.
type MeshExecute struct {
	SQL string `json:"sql" required:"true" max:"32768" doc:"one statement, which is a transaction of its own"`
}

// FrameType returns mesh_execute.
func (MeshExecute) FrameType() string { return "mesh_execute" }

// MeshQueryResult answers a [MeshQuery] and a [MeshExecute].
type MeshQueryResult struct {
	Columns   []string         `json:"columns" doc:"names, each once: a second column of one name has a number behind it"`
	Rows      []jsontext.Value `json:"rows" doc:"an object each, by the names of columns; after mesh_execute those that RETURNING asks for"`
	RowCount  int64            `json:"rowCount" doc:"rows in the answer; after mesh_execute those that were changed"`
	Truncated bool             `json:"truncated,omitzero" doc:"there are more rows than one answer has"`
	Error     string           `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns mesh_query_result.
func (MeshQueryResult) FrameType() string { return "mesh_query_result" }

// MeshSchema asks for the tables of the mesh. Its answer is a [MeshSchemaResult].
type MeshSchema struct{}

// FrameType returns mesh_schema.
func (MeshSchema) FrameType() string { return "mesh_schema" }

// MeshSchemaResult answers a [MeshSchema].
type MeshSchemaResult struct {
	Tables []MeshTable `json:"tables" doc:"tables and views by name, up to 2,000 columns; none before the first mesh_execute"`
	Error  string      `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns mesh_schema_result.
func (MeshSchemaResult) FrameType() string { return "mesh_schema_result" }

// MeshTable is one table or view.
type MeshTable struct {
	Name    string       `json:"name" doc:"its name"`
	Columns []MeshColumn `json:"columns" doc:"in their order"`
}

// MeshColumn is one column of a [MeshTable].
type MeshColumn struct {
	Name     string `json:"name" doc:"its name"`
	Type     string `json:"type" doc:"as the database calls it"`
	Nullable bool   `json:"nullable" doc:"it may be empty"`
}
