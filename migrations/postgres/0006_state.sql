-- +goose Up

-- The values that the members of a mesh share, by their key. The last one to set a key wins.
CREATE TABLE broker.shared_state (
    mesh_id    text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    key        text COLLATE "C" NOT NULL,
    member_id  text COLLATE "C" NOT NULL,          -- who set it, '' when that is not known
    author     text             NOT NULL,          -- its name at that time
    updated_at timestamptz      NOT NULL,
    value      text             NOT NULL,          -- JSON, but for spaces as it came
    PRIMARY KEY (mesh_id, key)
) WITH (fillfactor = 70);
