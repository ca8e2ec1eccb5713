-- +goose Up
-- Machines that sign with keys of the broker's own, and those keys: secrets only sealed, under a key that is not in here.
CREATE TABLE services (
	id   TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	at   BIGINT NOT NULL,
	body TEXT NOT NULL
);
CREATE INDEX services_name ON services (name, at);
CREATE TABLE service_keys (
	id      TEXT PRIMARY KEY,
	service TEXT NOT NULL REFERENCES services (id),
	sealed  BYTEA NOT NULL,
	used    BIGINT NOT NULL DEFAULT 0 -- when a signature of it was taken last; 0: never
);
-- +goose StatementBegin
CREATE FUNCTION services_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'services are kept: an id is never given to another';
END $$;
-- +goose StatementEnd
CREATE TRIGGER services_check BEFORE DELETE ON services FOR EACH ROW EXECUTE FUNCTION services_check();
-- +goose StatementBegin
CREATE FUNCTION service_keys_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id <> OLD.id OR NEW.service <> OLD.service THEN
		RAISE EXCEPTION 'whose key it is does not change';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER service_keys_check BEFORE UPDATE ON service_keys FOR EACH ROW EXECUTE FUNCTION service_keys_check();
