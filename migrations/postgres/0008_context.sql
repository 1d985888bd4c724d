-- +goose Up

-- What members say that they know. Rows are replaced often; the free part of each page lets a new version stay beside
-- the old one.
CREATE TABLE broker.context (
    mesh_id      text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    member_id    text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,          -- of the first one that the member shared
    name         text             NOT NULL,          -- of the member at that time
    summary      text             NOT NULL,
    folded       text             NOT NULL,          -- the summary in lower case, for searches
    files_read   text             NOT NULL,          -- JSON: texts
    key_findings text             NOT NULL,          -- JSON: texts
    tags         text[]           NOT NULL,
    updated_at   timestamptz      NOT NULL,
    PRIMARY KEY (mesh_id, member_id)
) WITH (fillfactor = 70);

CREATE INDEX context_by_time ON broker.context (mesh_id, updated_at, member_id);
