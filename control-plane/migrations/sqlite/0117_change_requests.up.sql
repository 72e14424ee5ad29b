-- Writes that wait for the approval of others.
CREATE TABLE change_requests (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects (id),
    -- `open`, `applied` or `closed`.
    status       TEXT NOT NULL,
    author_kind  TEXT NOT NULL,
    author_id    TEXT NOT NULL,
    author       TEXT NOT NULL,
    comment      TEXT,
    method       TEXT NOT NULL,
    -- Path as the API's description has it, and as it was asked for.
    route        TEXT NOT NULL,
    target       TEXT NOT NULL,
    headers      TEXT NOT NULL,
    body         TEXT NOT NULL,
    -- What it would have done when it was proposed, as JSON.
    preview      TEXT NOT NULL,
    -- Ids of the environments whose approvals it takes, as JSON.
    environments TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ended_by     TEXT
);
CREATE INDEX change_requests_project ON change_requests (project_id, id);

CREATE TABLE change_request_approvals (
    change_request_id TEXT NOT NULL REFERENCES change_requests (id),
    user_id           TEXT NOT NULL,
    approver          TEXT NOT NULL,
    at                BIGINT NOT NULL,
    comment           TEXT,
    PRIMARY KEY (change_request_id, user_id)
);
