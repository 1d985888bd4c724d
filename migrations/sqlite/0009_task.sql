-- +goose Up

-- What is to be done in a mesh.
CREATE TABLE task (
    id               TEXT    NOT NULL PRIMARY KEY,
    mesh_id          TEXT    NOT NULL REFERENCES mesh (id),
    status           TEXT    NOT NULL,            -- open, claimed or done
    assignee         TEXT    NOT NULL,            -- free text, '' for nobody
    priority         TEXT    NOT NULL,            -- free text
    tags             TEXT    NOT NULL,            -- JSON: texts
    creator_id       TEXT    NOT NULL,            -- member, '' when that is not known
    creator          TEXT    NOT NULL,            -- its name at that time
    created_at       INTEGER NOT NULL,
    claimer_id       TEXT    NOT NULL,            -- member that took it, '' when nobody did or that is not known
    claimer          TEXT    NOT NULL,            -- its name at that time
    claimer_presence TEXT    NOT NULL,            -- id of its session's presence
    claimed_at       INTEGER,
    completed_at     INTEGER,
    request          TEXT,                        -- SHA-256 of the request that made it, as 64 lower-case hex digits
    title            TEXT    NOT NULL,
    result           TEXT    NOT NULL             -- '' when there is none
) STRICT;

CREATE INDEX task_by_time ON task (mesh_id, created_at, id);

-- Counts by status read this and no row.
CREATE INDEX task_by_status ON task (mesh_id, status, created_at, id);

-- A request that is repeated makes no second task.
CREATE UNIQUE INDEX task_by_request ON task (mesh_id, request) WHERE status <> 'done';

-- What a member has created and is not done.
CREATE INDEX task_unfinished ON task (mesh_id, creator_id, status) WHERE status <> 'done';
