-- +goose Up

-- A delivery that is held back until a time. It is out of the way of everything that looks for what waits; when it is
-- due, it becomes an ordinary row of delivery and leaves this table. Its message is in message from the start.
CREATE TABLE held_delivery (
    seq        INTEGER NOT NULL,                 -- of its message
    recipient  TEXT    NOT NULL,                 -- as in delivery, like the next three
    mesh_id    TEXT    NOT NULL,
    member_id  TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    not_before INTEGER NOT NULL,                 -- when it is due
    expires_at INTEGER NOT NULL,                 -- counted from not_before
    PRIMARY KEY (seq, recipient)
) STRICT, WITHOUT ROWID;

-- What is due first, in the order in which it is released: the index ends with the columns of the primary key.
CREATE INDEX held_delivery_by_time ON held_delivery (not_before);
