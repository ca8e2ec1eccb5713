-- +goose Up
-- People who signed in, with the groups that their identity provider gave them then.
CREATE TABLE people (
	id     TEXT PRIMARY KEY,
	seen   BIGINT NOT NULL,
	groups TEXT NOT NULL
);
