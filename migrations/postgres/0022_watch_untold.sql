-- +goose Up

-- What a watch has seen, and its member was not told of yet: nobody of it was connected.
ALTER TABLE broker.watch
    ADD COLUMN untold_old text,
    ADD COLUMN untold_new text,
    ADD COLUMN untold_at  timestamptz; -- NULL when it knows all

CREATE INDEX watch_untold ON broker.watch (id) WHERE untold_at IS NOT NULL;

-- When peers were told of a tick last.
ALTER TABLE broker.mesh_clock ADD COLUMN told_at timestamptz;
