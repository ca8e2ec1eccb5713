-- +goose Up
-- What the broker says to roles that it takes by AssumeRole; each value once, for ever.
CREATE TABLE external_ids (
	vendor TEXT NOT NULL,
	role   TEXT NOT NULL,
	body   TEXT NOT NULL,
	PRIMARY KEY (vendor, role)
) WITHOUT ROWID;
CREATE TABLE external_id_values (value TEXT PRIMARY KEY) WITHOUT ROWID;
