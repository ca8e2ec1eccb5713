-- +goose Up
-- Signed checkpoints of the audit log: one for each size at most, each larger than all before it.
CREATE TABLE checkpoints (
	size INTEGER PRIMARY KEY,
	at   INTEGER NOT NULL,
	note TEXT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints WHEN NEW.size <= (SELECT max(size) FROM checkpoints) BEGIN SELECT RAISE(ABORT, 'a checkpoint must be larger than those before it'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are not changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are not deleted'); END;
-- +goose StatementEnd
