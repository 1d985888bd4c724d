-- +goose Up

-- Which request writes the bytes of an upload now, until when nobody else may, and whether the audit log has
-- yet to hear that the last of them arrived.
ALTER TABLE broker.file
    ADD COLUMN holder     text COLLATE "C",
    ADD COLUMN held_until timestamptz,
    ADD COLUMN unrecorded boolean NOT NULL DEFAULT false;

-- What is being written of files that are gone.
CREATE INDEX file_held ON broker.file (mesh_id) WHERE gone_at IS NOT NULL AND held_until IS NOT NULL;

CREATE INDEX file_unrecorded ON broker.file (ready_at) WHERE unrecorded;
