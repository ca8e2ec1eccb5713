-- +goose Up
-- How far each address was told what happened, and who is telling it.
CREATE TABLE hooks (
	name   TEXT PRIMARY KEY,
	next   INTEGER NOT NULL,
	holder TEXT NOT NULL,
	until  INTEGER NOT NULL
) WITHOUT ROWID;
