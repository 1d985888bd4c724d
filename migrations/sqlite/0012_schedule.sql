-- +goose Up

-- Messages that are sent later, once or again and again.
CREATE TABLE schedule (
    id          TEXT    NOT NULL PRIMARY KEY,
    mesh_id     TEXT    NOT NULL REFERENCES mesh (id),
    member_id   TEXT    NOT NULL,                 -- who created it
    target      TEXT    NOT NULL,
    subtype     TEXT    NOT NULL,                 -- '' for none
    form        TEXT    NOT NULL,                 -- of the body: plain, at-rest or peer
    nonce       TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    cron        TEXT    NOT NULL,                 -- '' for once
    timezone    TEXT    NOT NULL,                 -- '' for UTC
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    fired       INTEGER NOT NULL,
    fired_at    INTEGER,
    failure     TEXT    NOT NULL,                 -- '' for none
    ended_at    INTEGER,
    state       TEXT    NOT NULL,                 -- waiting, fired, failed or cancelled
    wake_at     INTEGER NOT NULL,                 -- when a node looks at it next
    claim       TEXT    NOT NULL,                 -- of the node that fires it, '' for none
    attempts    INTEGER NOT NULL,
    request     TEXT                              -- hash of the request that made it, as 64 lower-case hex digits
) STRICT;

CREATE INDEX schedule_by_wake ON schedule (wake_at, id) WHERE state = 'waiting';
CREATE INDEX schedule_by_mesh ON schedule (mesh_id) WHERE state = 'waiting';
CREATE INDEX schedule_by_member ON schedule (member_id, state, ended_at, id);
CREATE INDEX schedule_by_end ON schedule (ended_at) WHERE state <> 'waiting';

-- A request that is repeated makes no second schedule.
CREATE UNIQUE INDEX schedule_by_request ON schedule (mesh_id, request);
