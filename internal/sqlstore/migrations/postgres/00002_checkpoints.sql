-- +goose Up
-- Signed checkpoints of the audit log: one for each size at most, each larger than all before it.
CREATE TABLE checkpoints (
	size BIGINT PRIMARY KEY,
	at   BIGINT NOT NULL,
	note TEXT NOT NULL
);
-- +goose StatementBegin
CREATE FUNCTION checkpoints_stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'checkpoints are neither changed nor deleted'; END $$;
-- +goose StatementEnd
CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_stay();
-- +goose StatementBegin
CREATE FUNCTION checkpoints_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.size <= (SELECT max(size) FROM checkpoints) THEN RAISE EXCEPTION 'a checkpoint must be larger than those before it'; END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION checkpoints_grow();
