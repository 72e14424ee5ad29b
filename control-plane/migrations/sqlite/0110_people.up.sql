-- People who sign in, what they may do where, and their sessions. Times are epoch milliseconds.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    -- Lower case; what people sign in with and what their changes are signed with.
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    -- Argon2id, as a PHC string; null for one who cannot sign in with a password.
    password      TEXT,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    -- Since when the user may do nothing.
    disabled_at   BIGINT,
    -- Wrong passwords in a row since `failing_since`.
    n_failures    BIGINT NOT NULL DEFAULT 0,
    failing_since BIGINT
);

CREATE TABLE grants (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Empty: every project.
    project_id TEXT NOT NULL,
    role       TEXT NOT NULL,
    PRIMARY KEY (user_id, project_id, role)
);

CREATE TABLE sessions (
    -- SHA-256 of the cookie's value.
    sha256       TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

ALTER TABLE api_tokens ADD COLUMN expires_at BIGINT;
ALTER TABLE api_tokens ADD COLUMN last_used_at BIGINT;
ALTER TABLE versions ADD COLUMN comment TEXT;
