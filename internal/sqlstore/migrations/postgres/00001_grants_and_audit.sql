-- +goose Up
-- Which net moves a change may make; the table of package broker, closed over what one command does at once.
CREATE TABLE grant_move (from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state));

CREATE TABLE grants (
	id      TEXT COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 2 AND 60),
	version BIGINT NOT NULL CHECK (version > 0),
	state   TEXT NOT NULL,
	subject TEXT NOT NULL,
	entry   TEXT NOT NULL,
	target  TEXT NOT NULL,
	filed   BIGINT NOT NULL, -- microseconds since 1970, as all times here
	wake    BIGINT,          -- when the time has something to do for it; null: never
	body    TEXT NOT NULL
);
CREATE INDEX grants_wake ON grants (wake) WHERE wake IS NOT NULL;
CREATE INDEX grants_filed ON grants (filed, id);
CREATE INDEX grants_state ON grants (state, filed, id);
CREATE INDEX grants_subject ON grants (subject, filed, id);

-- +goose StatementBegin
CREATE FUNCTION grants_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'requests are not deleted';
	ELSIF TG_OP = 'INSERT' THEN
		IF NOT EXISTS (SELECT 1 FROM grant_move WHERE from_state = 'none' AND to_state = NEW.state) THEN
			RAISE EXCEPTION 'a request cannot begin in this state';
		END IF;
	ELSIF NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id
		OR NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM grant_move WHERE from_state = OLD.state AND to_state = NEW.state) THEN
		RAISE EXCEPTION 'a request cannot move like this';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER grants_check BEFORE INSERT OR UPDATE OR DELETE ON grants FOR EACH ROW EXECUTE FUNCTION grants_check();

CREATE TABLE locks (
	id     TEXT COLLATE "C" PRIMARY KEY,
	lifted BIGINT NOT NULL DEFAULT 0,
	body   TEXT NOT NULL
);

CREATE TABLE spent (
	issuer TEXT NOT NULL,
	value  TEXT NOT NULL,
	until  BIGINT NOT NULL,
	PRIMARY KEY (issuer, value)
);
CREATE INDEX spent_until ON spent (until);

-- Tokens of the API: of each only the SHA-256.
CREATE TABLE tokens (
	hash   TEXT PRIMARY KEY,
	until  BIGINT NOT NULL,
	caller TEXT NOT NULL
);

CREATE TABLE audit (
	seq   BIGINT PRIMARY KEY,
	time  BIGINT NOT NULL,
	kind  TEXT NOT NULL,
	actor TEXT NOT NULL,
	about TEXT NOT NULL,
	body  TEXT NOT NULL,
	prev  BYTEA NOT NULL,
	hash  BYTEA NOT NULL
);
CREATE INDEX audit_about ON audit (about, seq);
-- +goose StatementBegin
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is neither changed nor cut'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

-- One row: where the log ends. Whoever appends holds it, so that two daemons never do at once.
CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), size BIGINT NOT NULL, hash BYTEA NOT NULL);
INSERT INTO audit_head VALUES (1, 0, decode(repeat('00', 32), 'hex'));
