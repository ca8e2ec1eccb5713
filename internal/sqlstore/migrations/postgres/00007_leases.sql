-- +goose Up
-- What only one daemon may do at a time, and drills of targets.
CREATE TABLE leases (
	name   TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	until  BIGINT NOT NULL
);
CREATE TABLE drills (
	entry TEXT PRIMARY KEY,
	at    BIGINT NOT NULL,
	body  TEXT NOT NULL
);
