package adopt

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/claudemesh/broker/core/store"
)

// maxValueKey is the most bytes of a key that a peer can ask for.
const maxValueKey = 256

// values returns the state that the mesh shares. The original keeps the name of
// who set a value and no member, so nobody's grants keep it from anybody.
func (w *work) values(ctx context.Context) (list []*store.Value, err error) {
	for row, err := range w.src.read(ctx, "state", "WHERE t.mesh_id = $1 ORDER BY t.key", w.id) {
		if err != nil {
			return nil, err
		}
		v := &store.Value{MeshID: w.id, Key: row.text("key"), Author: row.text("updated_by_name"), At: row.timeOr("updated_at", w.o.Now)}
		var value bytes.Buffer
		switch err := json.Compact(&value, []byte(row.text("value"))); {
		case v.Key == "" || len(v.Key) > maxValueKey:
			w.notes.skipped("value", v.Key, "its key is empty or longer than 256 bytes")
			continue
		case err != nil || value.String() == "null":
			w.notes.skipped("value", v.Key, "it is null, which is no value")
			continue
		}
		v.JSON = value.Bytes()
		list = append(list, v)
	}
	return list, nil
}
