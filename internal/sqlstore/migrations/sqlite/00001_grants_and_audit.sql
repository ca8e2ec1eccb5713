-- +goose Up
-- Which net moves a change may make; the table of package broker, closed over what one command does at once.
CREATE TABLE grant_move (from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state)) WITHOUT ROWID;

CREATE TABLE grants (
	id      TEXT PRIMARY KEY CHECK (length(id) BETWEEN 2 AND 60),
	version INTEGER NOT NULL CHECK (version > 0),
	state   TEXT NOT NULL,
	subject TEXT NOT NULL,
	entry   TEXT NOT NULL,
	target  TEXT NOT NULL,
	filed   INTEGER NOT NULL, -- microseconds since 1970, as all times here
	wake    INTEGER,          -- when the time has something to do for it; null: never
	body    TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX grants_wake ON grants (wake) WHERE wake IS NOT NULL;
CREATE INDEX grants_filed ON grants (filed, id);
CREATE INDEX grants_state ON grants (state, filed, id);
CREATE INDEX grants_subject ON grants (subject, filed, id);

-- +goose StatementBegin
CREATE TRIGGER grants_begin BEFORE INSERT ON grants
WHEN NOT EXISTS (SELECT 1 FROM grant_move WHERE from_state = 'none' AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a request cannot begin in this state'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER grants_move BEFORE UPDATE ON grants
WHEN NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id OR NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM grant_move WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a request cannot move like this'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER grants_stay BEFORE DELETE ON grants BEGIN SELECT RAISE(ABORT, 'requests are not deleted'); END;
-- +goose StatementEnd

CREATE TABLE locks (
	id     TEXT PRIMARY KEY,
	lifted INTEGER NOT NULL DEFAULT 0,
	body   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE spent (
	issuer TEXT NOT NULL,
	value  TEXT NOT NULL,
	until  INTEGER NOT NULL,
	PRIMARY KEY (issuer, value)
) WITHOUT ROWID;
CREATE INDEX spent_until ON spent (until);

-- Tokens of the API: of each only the SHA-256.
CREATE TABLE tokens (
	hash   TEXT PRIMARY KEY,
	until  INTEGER NOT NULL,
	caller TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
	seq   INTEGER PRIMARY KEY,
	time  INTEGER NOT NULL,
	kind  TEXT NOT NULL,
	actor TEXT NOT NULL,
	about TEXT NOT NULL,
	body  TEXT NOT NULL,
	prev  BLOB NOT NULL,
	hash  BLOB NOT NULL
);
CREATE INDEX audit_about ON audit (about, seq);
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is not cut'); END;
-- +goose StatementEnd

-- One row: where the log ends.
CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, hash BLOB NOT NULL);
INSERT INTO audit_head VALUES (1, 0, zeroblob(32));
