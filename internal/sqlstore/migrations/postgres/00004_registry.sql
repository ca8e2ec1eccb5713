-- +goose Up
-- Editions of the registry; they are kept.
CREATE TABLE editions (
	id    TEXT PRIMARY KEY,
	at    BIGINT NOT NULL,
	state TEXT NOT NULL,
	body  TEXT NOT NULL, -- all but the text
	text  TEXT NOT NULL
);
CREATE INDEX editions_at ON editions (at);
CREATE UNIQUE INDEX editions_in_force ON editions (state) WHERE state = 'in force';
-- +goose StatementBegin
CREATE FUNCTION editions_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'editions of the registry are kept';
	ELSIF NEW.text <> OLD.text OR NEW.id <> OLD.id THEN
		RAISE EXCEPTION 'what an edition says does not change';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER editions_check BEFORE UPDATE OR DELETE ON editions FOR EACH ROW EXECUTE FUNCTION editions_check();
