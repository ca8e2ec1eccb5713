-- +goose Up
-- Snapshots of AWS that were pushed, in parts, and vendors that leave.
CREATE TABLE pushes (
	id    TEXT PRIMARY KEY,
	begun INTEGER NOT NULL,
	state TEXT NOT NULL,
	body  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pushes_begun ON pushes (begun);
CREATE TABLE push_parts (
	push TEXT NOT NULL REFERENCES pushes (id),
	n    INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (push, n)
);

CREATE TABLE offboardings (
	id      TEXT PRIMARY KEY,
	vendor  TEXT NOT NULL,
	version INTEGER NOT NULL,
	state   TEXT NOT NULL,
	begun   INTEGER NOT NULL,
	body    TEXT NOT NULL
) WITHOUT ROWID;
-- A vendor leaves once at a time.
CREATE UNIQUE INDEX offboardings_open ON offboardings (vendor) WHERE state = 'open';
-- +goose StatementBegin
CREATE TRIGGER offboardings_stay BEFORE DELETE ON offboardings BEGIN SELECT RAISE(ABORT, 'offboardings are kept'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER offboardings_end BEFORE UPDATE ON offboardings WHEN OLD.state = 'proven' OR NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'an offboarding cannot move like this'); END;
-- +goose StatementEnd

-- Requests by vendor.
CREATE INDEX grants_vendor ON grants (json_extract(body, '$.terms.vendor'), filed, id) WHERE json_extract(body, '$.terms.vendor') IS NOT NULL;
