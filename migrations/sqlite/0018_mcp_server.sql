-- +goose Up

-- The tool servers that sessions offer. A row that is not persistent ends with its session.
CREATE TABLE mcp_server (
    mesh_id       TEXT    NOT NULL REFERENCES mesh (id),
    name          TEXT    NOT NULL,
    member_id     TEXT    NOT NULL,          -- whose it is
    host          TEXT    NOT NULL,          -- name of the session that offers it
    presence_id   TEXT    NOT NULL,          -- that session
    session_key   TEXT,                      -- its key, NULL when it has none
    description   TEXT    NOT NULL,
    tools         TEXT    NOT NULL,          -- JSON: list of objects
    persistent    INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    offline_since INTEGER,                   -- when the session ended; NULL until then
    PRIMARY KEY (mesh_id, name)
) STRICT;

CREATE INDEX mcp_server_by_presence ON mcp_server (mesh_id, presence_id);
