-- +goose Up

-- Messages that are sent later, once or again and again.
CREATE TABLE broker.schedule (
    id          text COLLATE "C" PRIMARY KEY,
    mesh_id     text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    member_id   text COLLATE "C" NOT NULL,        -- who created it
    target      text             NOT NULL,
    subtype     text             NOT NULL,        -- '' for none
    form        text             NOT NULL,        -- of the body: plain, at-rest or peer
    nonce       text             NOT NULL,
    body        text             NOT NULL,
    cron        text             NOT NULL,        -- '' for once
    timezone    text             NOT NULL,        -- '' for UTC
    created_at  timestamptz      NOT NULL,
    due_at      timestamptz      NOT NULL,
    fired       bigint           NOT NULL,
    fired_at    timestamptz,
    failure     text             NOT NULL,        -- '' for none
    ended_at    timestamptz,
    state       text             NOT NULL,        -- waiting, fired, failed or cancelled
    wake_at     timestamptz      NOT NULL,        -- when a node looks at it next
    claim       text             NOT NULL,        -- of the node that fires it, '' for none
    attempts    bigint           NOT NULL,
    request     bytea                             -- hash of the request that made it
);

CREATE INDEX schedule_by_wake ON broker.schedule (wake_at, id) WHERE state = 'waiting';
CREATE INDEX schedule_by_mesh ON broker.schedule (mesh_id) WHERE state = 'waiting';
CREATE INDEX schedule_by_member ON broker.schedule (member_id, state, ended_at, id);
CREATE INDEX schedule_by_end ON broker.schedule (ended_at) WHERE state <> 'waiting';

-- A request that is repeated makes no second schedule.
CREATE UNIQUE INDEX schedule_by_request ON broker.schedule (mesh_id, request);
