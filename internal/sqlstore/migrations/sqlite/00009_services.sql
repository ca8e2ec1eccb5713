-- +goose Up
-- Machines that sign with keys of the broker's own, and those keys: secrets only sealed, under a key that is not in here.
CREATE TABLE services (
	id   TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	at   INTEGER NOT NULL,
	body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX services_name ON services (name, at);
-- +goose StatementBegin
CREATE TRIGGER services_stay BEFORE DELETE ON services BEGIN SELECT RAISE(ABORT, 'services are kept: an id is never given to another'); END;
-- +goose StatementEnd
CREATE TABLE service_keys (
	id      TEXT PRIMARY KEY,
	service TEXT NOT NULL REFERENCES services (id),
	sealed  BLOB NOT NULL,
	used    INTEGER NOT NULL DEFAULT 0 -- when a signature of it was taken last; 0: never
) WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER service_keys_stay BEFORE UPDATE ON service_keys WHEN NEW.id <> OLD.id OR NEW.service <> OLD.service
BEGIN SELECT RAISE(ABORT, 'whose key it is does not change'); END;
-- +goose StatementEnd
