-- +goose Up

-- What a watch has seen, and its member was not told of yet: nobody of it was connected.
ALTER TABLE watch ADD COLUMN untold_old TEXT;
ALTER TABLE watch ADD COLUMN untold_new TEXT;
ALTER TABLE watch ADD COLUMN untold_at INTEGER; -- NULL when it knows all

CREATE INDEX watch_untold ON watch (id) WHERE untold_at IS NOT NULL;

-- When peers were told of a tick last.
ALTER TABLE mesh_clock ADD COLUMN told_at INTEGER;
