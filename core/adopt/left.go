package adopt

import "context"

// left counts what this broker cannot take over.
func (w *work) left(ctx context.Context) error {
	for _, x := range []struct{ kind, table, rest, why string }{
		{"file", "file", "WHERE t.mesh_id = $1 AND t.deleted_at IS NULL ORDER BY t.id",
			"its bytes are in the original's object store, which is not read: download it there and share it here again"},
		{"service", "service", "WHERE t.mesh_id = $1 ORDER BY t.id",
			"this broker runs no servers: a plugin may"},
	} {
		for row, err := range w.src.read(ctx, x.table, x.rest, w.id) {
			if err != nil {
				return err
			}
			w.notes.skipped(x.kind, row.text("id"), x.why)
		}
	}
	return nil
}
