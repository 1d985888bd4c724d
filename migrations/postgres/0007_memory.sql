-- +goose Up

-- Notes that members leave for the others of their mesh.
CREATE TABLE broker.memory (
    id         text COLLATE "C" PRIMARY KEY,
    mesh_id    text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    content    text             NOT NULL,
    tags       text             NOT NULL,          -- JSON: texts
    digest     bytea            NOT NULL,          -- SHA-256 of content and tags
    words      tsvector         NOT NULL,          -- English stems of the content's words, and '=' with the mesh's id
    member_id  text COLLATE "C" NOT NULL,          -- who wrote it, '' when that is not known
    author     text             NOT NULL,          -- its name at that time
    created_at timestamptz      NOT NULL
);

-- The mesh is among the words, so that a search never walks over what other meshes wrote.
CREATE INDEX memory_words ON broker.memory USING gin (words);

-- Nobody leaves the same note twice. Counts by mesh and by member read this and no row.
CREATE UNIQUE INDEX memory_once ON broker.memory (mesh_id, member_id, digest);

-- What was forgotten, so that an import does not bring it back.
CREATE TABLE broker.memory_forgotten (
    id           text COLLATE "C" PRIMARY KEY,
    mesh_id      text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    forgotten_at timestamptz      NOT NULL
);
