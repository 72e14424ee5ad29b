-- What is to happen to experiments and flags, and when.
CREATE TABLE schedules (
    id             TEXT PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    key            TEXT NOT NULL,
    status         TEXT NOT NULL,
    version        BIGINT NOT NULL,
    definition     TEXT NOT NULL,
    state          TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    -- Time of the next step.
    due_at         BIGINT,
    UNIQUE (environment_id, key)
);
CREATE INDEX schedules_due ON schedules (due_at);

-- Work that one replica does for all. Times are the database's.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    -- Id of the process that does it.
    holder     TEXT NOT NULL,
    -- Until when, unless it renews.
    expires_at BIGINT NOT NULL
);
