package audit

// Reasons in a [Result]. They go into logs and answers.
const (
	WhyLink  = "row does not follow the row before it"            // deleted, inserted or moved
	WhyHash  = "row does not have the content it was hashed with" // edited
	WhyOrder = "row ids do not rise"
	WhyMesh  = "row of another mesh"
	WhyTail  = "rows are missing after the last one"
	WhyExtra = "rows were added behind the stored head"
	WhyHead  = "last row is not the one the stored head names"
)

// Result is the verdict on a chain.
type Result struct {
	Valid   bool
	Entries int64 // rows read, those after the broken one too
	// BrokenAt is the id of the first bad row, 0 for a valid chain. Where the
	// rows agree among themselves and only the head disagrees, it is the id of
	// the last row, or one more when rows are missing at the end.
	BrokenAt int64
	Why      string // one of the Why constants; empty for a valid chain
}

// Verifier checks one mesh's chain row by row. It keeps the last row's hash and
// a few numbers, however long the chain is, and allocates nothing. It is for
// one goroutine.
type Verifier struct {
	meshID string
	prev   string // hash that the next row must name
	lastID int64
	result Result
}

// NewVerifier returns a Verifier at the beginning of the mesh's chain.
func NewVerifier(meshID string) *Verifier {
	return &Verifier{meshID: meshID, prev: Genesis, result: Result{Valid: true}}
}

// Add checks the next row; rows come by rising id. After the first bad row the
// rest are only counted. Add keeps no part of e but its Hash.
func (v *Verifier) Add(e *Entry) {
	v.result.Entries++
	if v.result.Valid {
		if why := v.check(e); why != "" {
			v.broken(e.ID, why)
		}
	}
	v.prev, v.lastID = e.Hash, e.ID
}

// check returns what is wrong with a row, or nothing.
func (v *Verifier) check(e *Entry) string {
	switch {
	case e.MeshID != v.meshID:
		return WhyMesh
	case v.result.Entries > 1 && e.ID <= v.lastID:
		return WhyOrder
	case e.PrevHash != v.prev:
		return WhyLink
	}
	if hash := e.digest(); string(hash[:]) != e.Hash {
		return WhyHash
	}
	return ""
}

// broken records the first fault.
func (v *Verifier) broken(id int64, why string) {
	v.result.Valid, v.result.BrokenAt, v.result.Why = false, id, why
}

// Finish compares the end of the chain with the stored head and returns the
// verdict. A nil head is not compared: chains made before there were heads have
// none, and a cut at their end cannot be seen. Head and rows must come from one
// snapshot, or a row appended in between looks like a fault. A LastID of 0 in
// the head is not compared.
func (v *Verifier) Finish(head *Head) Result {
	if head == nil || !v.result.Valid {
		return v.result
	}
	hash := head.Hash
	if hash == "" {
		hash = Genesis
	}
	switch {
	case head.Count > v.result.Entries:
		v.broken(v.lastID+1, WhyTail)
	case head.Count < v.result.Entries:
		v.broken(v.lastID, WhyExtra)
	case hash != v.prev || head.MeshID != v.meshID:
		v.broken(v.lastID, WhyHead)
	case head.LastID != 0 && head.LastID != v.lastID:
		v.broken(v.lastID, WhyHead)
	}
	return v.result
}
