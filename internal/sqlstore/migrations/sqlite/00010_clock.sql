-- +goose Up
-- The latest time that was committed, in microseconds since 1970: a daemon whose clock is behind it gets no permit.
ALTER TABLE audit_head ADD COLUMN latest INTEGER NOT NULL DEFAULT 0;
UPDATE audit_head SET latest = coalesce((SELECT max(time) FROM audit), 0);
