-- +goose Up
-- What only one daemon may do at a time, and drills of targets.
CREATE TABLE leases (
	name   TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	until  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE drills (
	entry TEXT PRIMARY KEY,
	at    INTEGER NOT NULL,
	body  TEXT NOT NULL
) WITHOUT ROWID;
