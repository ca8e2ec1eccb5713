-- +goose Up
-- Snapshots of AWS that were pushed, in parts, and vendors that leave.
CREATE TABLE pushes (
	id    TEXT PRIMARY KEY,
	begun BIGINT NOT NULL,
	state TEXT NOT NULL,
	body  TEXT NOT NULL
);
CREATE INDEX pushes_begun ON pushes (begun);
CREATE TABLE push_parts (
	push TEXT NOT NULL REFERENCES pushes (id),
	n    BIGINT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (push, n)
);

CREATE TABLE offboardings (
	id      TEXT PRIMARY KEY,
	vendor  TEXT NOT NULL,
	version BIGINT NOT NULL,
	state   TEXT NOT NULL,
	begun   BIGINT NOT NULL,
	body    TEXT NOT NULL
);
-- A vendor leaves once at a time.
CREATE UNIQUE INDEX offboardings_open ON offboardings (vendor) WHERE state = 'open';
-- +goose StatementBegin
CREATE FUNCTION offboardings_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'offboardings are kept';
	ELSIF OLD.state = 'proven' OR NEW.version <> OLD.version + 1 THEN
		RAISE EXCEPTION 'an offboarding cannot move like this';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER offboardings_check BEFORE UPDATE OR DELETE ON offboardings FOR EACH ROW EXECUTE FUNCTION offboardings_check();

-- Requests by vendor.
CREATE INDEX grants_vendor ON grants (((body::jsonb #>> '{terms,vendor}')), filed, id) WHERE (body::jsonb #>> '{terms,vendor}') IS NOT NULL;
