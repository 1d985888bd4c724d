-- +goose Up

-- The streams of a mesh that somebody has given a name. What is published is nowhere.
CREATE TABLE broker.stream (
    mesh_id    text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    member_id  text COLLATE "C" NOT NULL,          -- who created it, '' when that is not known
    author     text             NOT NULL,          -- its name at that time
    created_at timestamptz      NOT NULL,
    PRIMARY KEY (mesh_id, name)
);

CREATE INDEX stream_by_time ON broker.stream (mesh_id, created_at, name);

-- What a session has taken up and need not take up again when it comes back, such as its subscriptions.
ALTER TABLE broker.peer_state ADD COLUMN kept text NOT NULL DEFAULT '{}'; -- JSON
