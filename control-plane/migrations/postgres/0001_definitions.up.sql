-- Everything that people author, in one shape: `definition` is what they wrote, `state` what the platform
-- adds, both as JSON. Columns exist for what is looked up or must be unique. Times are epoch milliseconds.
-- Keys and ids are ordered byte by byte, as in SQLite.

CREATE TABLE projects (
    id          TEXT COLLATE "C" PRIMARY KEY,
    instance_id TEXT NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    status      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    definition  TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (instance_id, key)
);

CREATE TABLE environments (
    id          TEXT COLLATE "C" PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    key         TEXT COLLATE "C" NOT NULL,
    status      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    definition  TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    -- Grows with every change of anything that the environment's config is compiled from. Writers raise it
    -- first, so it is also the lock that lets one change of an environment happen after the other.
    revision    BIGINT NOT NULL DEFAULT 0,
    UNIQUE (project_id, key)
);

CREATE TABLE layers (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    key        TEXT COLLATE "C" NOT NULL,
    status     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, key)
);

CREATE TABLE holdouts (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    key        TEXT COLLATE "C" NOT NULL,
    status     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, key)
);

CREATE TABLE segments (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    key        TEXT COLLATE "C" NOT NULL,
    status     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, key)
);

CREATE TABLE metrics (
    id         TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    key        TEXT COLLATE "C" NOT NULL,
    status     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, key)
);

CREATE TABLE experiments (
    id             TEXT COLLATE "C" PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    key            TEXT COLLATE "C" NOT NULL,
    status         TEXT NOT NULL,
    version        BIGINT NOT NULL,
    definition     TEXT NOT NULL,
    state          TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    -- When the scheduler must look at it: its start while scheduled, its end while running or paused.
    due_at         BIGINT,
    UNIQUE (environment_id, key)
);
CREATE INDEX experiments_due ON experiments (due_at);

CREATE TABLE flags (
    id             TEXT COLLATE "C" PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    key            TEXT COLLATE "C" NOT NULL,
    status         TEXT NOT NULL,
    version        BIGINT NOT NULL,
    definition     TEXT NOT NULL,
    state          TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (environment_id, key)
);

-- One row for every change: who, when, what it was before and after.
CREATE TABLE versions (
    kind           TEXT NOT NULL,
    resource_id    TEXT NOT NULL,
    version        BIGINT NOT NULL,
    action         TEXT NOT NULL,
    author         TEXT NOT NULL,
    at             BIGINT NOT NULL,
    before         TEXT,
    after          TEXT,
    PRIMARY KEY (kind, resource_id, version)
);

CREATE TABLE sdk_keys (
    id             TEXT COLLATE "C" PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    name           TEXT NOT NULL,
    kind           TEXT NOT NULL,
    sha256         TEXT NOT NULL UNIQUE,
    hint           TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    revoked_at     BIGINT
);

CREATE TABLE api_tokens (
    id         TEXT COLLATE "C" PRIMARY KEY,
    -- Null: every project.
    project_id TEXT REFERENCES projects (id),
    -- Null: every environment of those projects.
    environment_id TEXT REFERENCES environments (id),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    -- The first characters of the token, in clear: they find the row, the hash decides.
    prefix     TEXT NOT NULL,
    sha256     TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_tokens_prefix ON api_tokens (prefix);

-- Answers to requests that came with an Idempotency-Key, kept for a day.
CREATE TABLE idempotency_keys (
    token_id     TEXT NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    request_hash TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Null while the first request is in progress.
    status       BIGINT,
    headers      TEXT,
    body         TEXT,
    PRIMARY KEY (token_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
