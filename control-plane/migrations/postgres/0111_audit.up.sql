-- What was done, in one chain: each entry's hash covers the hash of the entry before it.

CREATE TABLE audit (
    -- 1, 2, 3, … without gaps.
    seq            BIGINT PRIMARY KEY,
    at             BIGINT NOT NULL,
    -- `token`, `user` or `system`.
    actor_kind     TEXT NOT NULL,
    -- Id of the token or user; empty for the system.
    actor_id       TEXT NOT NULL,
    -- Its name at that time.
    actor          TEXT NOT NULL,
    action         TEXT NOT NULL,
    kind           TEXT NOT NULL,
    resource_id    TEXT NOT NULL,
    -- Name or key at that time.
    resource       TEXT NOT NULL,
    version        BIGINT,
    project_id     TEXT,
    environment_id TEXT,
    request_id     TEXT,
    comment        TEXT,
    -- JSON list of what changed.
    diff           TEXT NOT NULL,
    -- SHA-256 of the entry before, in hexadecimal; 64 zeros before the first.
    previous_hash  TEXT NOT NULL,
    hash           TEXT NOT NULL
);
CREATE INDEX audit_project ON audit (project_id, seq);
CREATE INDEX audit_resource ON audit (resource_id, seq);

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();

-- The end of the chain: its one row is the lock under which entries are appended.
CREATE TABLE audit_head (
    id   BIGINT PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
