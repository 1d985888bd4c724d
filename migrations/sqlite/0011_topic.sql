-- +goose Up

-- Conversations of a mesh. The topic general, in which everybody has a seat, is made when somebody first looks for it.
CREATE TABLE topic (
    id          TEXT    NOT NULL PRIMARY KEY,
    mesh_id     TEXT    NOT NULL REFERENCES mesh (id),
    name        TEXT    NOT NULL,        -- archived topics keep theirs
    description TEXT    NOT NULL,
    visibility  TEXT    NOT NULL,        -- public, private or dm
    creator_id  TEXT    NOT NULL,        -- member, '' when the broker made it or nobody knows
    key_pubkey  TEXT    NOT NULL,        -- x25519 key in hex that copies of the topic's key are sealed with, '' for none
    everybody   INTEGER NOT NULL,        -- each member of the mesh has a seat, unless it left
    created_at  INTEGER NOT NULL,
    archived_at INTEGER,
    UNIQUE (mesh_id, name)
) STRICT;

CREATE INDEX topic_by_creator ON topic (mesh_id, creator_id);

-- How members stand to topics. Where everybody has a seat, only those have a row of whom something has changed.
CREATE TABLE topic_seat (
    topic_id     TEXT    NOT NULL REFERENCES topic (id),
    member_id    TEXT    NOT NULL REFERENCES member (id),
    role         TEXT    NOT NULL,       -- lead, member or observer
    standing     TEXT    NOT NULL,       -- joined, invited or left
    joined_at    INTEGER NOT NULL,
    last_read_at INTEGER,
    PRIMARY KEY (topic_id, member_id)
) STRICT;

CREATE INDEX topic_seat_by_member ON topic_seat (member_id);

-- Keys of topics, sealed for one member each. What they open is nobody's here to know.
CREATE TABLE topic_key (
    topic_id   TEXT    NOT NULL REFERENCES topic (id),
    member_id  TEXT    NOT NULL REFERENCES member (id),
    encrypted  TEXT    NOT NULL,
    nonce      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (topic_id, member_id)
) STRICT;

-- The history of topics. The group commit writes it and what follows, so that they have no foreign keys.
CREATE TABLE topic_message (
    seq              INTEGER PRIMARY KEY,         -- as in message
    topic_id         TEXT    NOT NULL,
    mesh_id          TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    sender_member_id TEXT    NOT NULL,
    sender_key       TEXT    NOT NULL,
    sender_session   TEXT,
    sender_name      TEXT    NOT NULL,
    nonce            TEXT    NOT NULL,
    ciphertext       TEXT    NOT NULL,
    bytes            INTEGER NOT NULL,    -- of both
    body_version     INTEGER NOT NULL,
    reply_to         TEXT,
    created_at       INTEGER NOT NULL,
    shown_at         INTEGER NOT NULL     -- when its hold is over
) STRICT;

CREATE INDEX topic_message_by_topic ON topic_message (topic_id, seq);
CREATE INDEX topic_message_by_id ON topic_message (topic_id, id);

-- What a mesh keeps is counted by this alone.
CREATE INDEX topic_message_by_mesh ON topic_message (mesh_id, seq, topic_id, bytes);

-- What a message of a topic has to say to one member.
CREATE TABLE notification (
    seq          INTEGER NOT NULL,        -- of the message
    member_id    TEXT    NOT NULL,
    mesh_id      TEXT    NOT NULL,
    topic_id     TEXT    NOT NULL,
    message_id   TEXT    NOT NULL,
    sender_id    TEXT    NOT NULL,
    sender       TEXT    NOT NULL,        -- its name at that time
    kind         TEXT    NOT NULL,        -- mention
    shown_at     INTEGER NOT NULL,
    read_at      INTEGER,
    PRIMARY KEY (seq, member_id)
) STRICT;

CREATE INDEX notification_by_member ON notification (member_id, mesh_id, seq);
