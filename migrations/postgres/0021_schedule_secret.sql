-- +goose Up

-- What the ids of a schedule's messages are made with; '' for one of an earlier release.
ALTER TABLE broker.schedule ADD COLUMN secret TEXT NOT NULL DEFAULT '';
