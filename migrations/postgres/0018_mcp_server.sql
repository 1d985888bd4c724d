-- +goose Up

-- The tool servers that sessions offer. A row that is not persistent ends with its session.
CREATE TABLE broker.mcp_server (
    mesh_id       text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name          text COLLATE "C" NOT NULL,
    member_id     text COLLATE "C" NOT NULL,       -- whose it is
    host          text             NOT NULL,       -- name of the session that offers it
    presence_id   text COLLATE "C" NOT NULL,       -- that session
    session_key   bytea,                           -- its key, NULL when it has none
    description   text             NOT NULL,
    tools         text             NOT NULL,       -- JSON: list of objects
    persistent    boolean          NOT NULL,
    registered_at timestamptz      NOT NULL,
    offline_since timestamptz,                     -- when the session ended; NULL until then
    PRIMARY KEY (mesh_id, name)
);

CREATE INDEX mcp_server_by_presence ON broker.mcp_server (mesh_id, presence_id);
