-- +goose Up
-- Editions of the registry; they are kept.
CREATE TABLE editions (
	id    TEXT PRIMARY KEY,
	at    INTEGER NOT NULL,
	state TEXT NOT NULL,
	body  TEXT NOT NULL, -- all but the text
	text  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX editions_at ON editions (at);
CREATE UNIQUE INDEX editions_in_force ON editions (state) WHERE state = 'in force';
-- +goose StatementBegin
CREATE TRIGGER editions_stay BEFORE DELETE ON editions BEGIN SELECT RAISE(ABORT, 'editions of the registry are kept'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER editions_text BEFORE UPDATE ON editions WHEN NEW.text <> OLD.text OR NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'what an edition says does not change'); END;
-- +goose StatementEnd
