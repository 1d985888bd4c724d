-- +goose Up

-- Which request writes the bytes of an upload now, until when nobody else may, and whether the audit log has
-- yet to hear that the last of them arrived.
ALTER TABLE file ADD COLUMN holder TEXT;
ALTER TABLE file ADD COLUMN held_until INTEGER;
ALTER TABLE file ADD COLUMN unrecorded INTEGER NOT NULL DEFAULT 0;

-- What is being written of files that are gone.
CREATE INDEX file_held ON file (mesh_id) WHERE gone_at IS NOT NULL AND held_until IS NOT NULL;

CREATE INDEX file_unrecorded ON file (ready_at) WHERE unrecorded <> 0;
