-- Whom to tell what happens in a project.
CREATE TABLE webhooks (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    key        TEXT NOT NULL,
    status     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    definition TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, key)
);

-- What messages are signed with. In clear, because signing needs them; never in history, audit or answers after
-- the first.
CREATE TABLE webhook_secrets (
    id         TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    secret     TEXT NOT NULL,
    -- When it no longer signs; null for the newest.
    ends_at    BIGINT
);
CREATE INDEX webhook_secrets_webhook ON webhook_secrets (webhook_id);

-- The last entry of the audit log whose messages were written.
CREATE TABLE webhook_mark (
    id  BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO webhook_mark (id, seq) SELECT 1, seq FROM audit_head;

CREATE TABLE webhook_deliveries (
    -- Also the `webhook-id` of the message.
    id          TEXT PRIMARY KEY,
    webhook_id  TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event       TEXT NOT NULL,
    body        TEXT NOT NULL,
    -- `pending`, `delivered` or `failed`.
    status      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- When it is sent, or, while a replica sends it, until when the others leave it alone; null at its end.
    next_at     BIGINT,
    retry_until BIGINT NOT NULL,
    n_attempts  BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);

CREATE TABLE webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    -- HTTP status of the answer; null when there was none.
    status      BIGINT,
    error       TEXT,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
