-- +goose Up

-- What a few messages have beyond the others, such as the name of their topic: a
-- JSON object, NULL for most. A release that does not know the column delivers
-- those messages without it.
ALTER TABLE broker.message ADD COLUMN extra text;
