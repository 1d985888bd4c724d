-- +goose Up

-- What is to be done in a mesh.
CREATE TABLE broker.task (
    id               text COLLATE "C" PRIMARY KEY,
    mesh_id          text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    status           text             NOT NULL,       -- open, claimed or done
    assignee         text             NOT NULL,       -- free text, '' for nobody
    priority         text             NOT NULL,       -- free text
    tags             text             NOT NULL,       -- JSON: texts
    creator_id       text COLLATE "C" NOT NULL,       -- member, '' when that is not known
    creator          text             NOT NULL,       -- its name at that time
    created_at       timestamptz      NOT NULL,
    claimer_id       text COLLATE "C" NOT NULL,       -- member that took it, '' when nobody did or that is not known
    claimer          text             NOT NULL,       -- its name at that time
    claimer_presence text COLLATE "C" NOT NULL,       -- id of its session's presence
    claimed_at       timestamptz,
    completed_at     timestamptz,
    request          bytea,                           -- SHA-256 of the request that made it
    title            text             NOT NULL,
    result           text             NOT NULL        -- '' when there is none
);

CREATE INDEX task_by_time ON broker.task (mesh_id, created_at, id);

-- Counts by status read this and no row.
CREATE INDEX task_by_status ON broker.task (mesh_id, status, created_at, id);

-- A request that is repeated makes no second task.
CREATE UNIQUE INDEX task_by_request ON broker.task (mesh_id, request) WHERE status <> 'done';

-- What a member has created and is not done.
CREATE INDEX task_unfinished ON broker.task (mesh_id, creator_id) WHERE status <> 'done';
