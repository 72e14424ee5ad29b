-- What was decided about an experiment: written once, never changed.
CREATE TABLE decisions (
    experiment_id TEXT PRIMARY KEY REFERENCES experiments (id),
    at            BIGINT NOT NULL,
    -- `token` or `user`, and its id.
    actor_kind    TEXT NOT NULL,
    actor_id      TEXT NOT NULL,
    -- The decision with the results that it rests on, as JSON. The audit log holds its SHA-256.
    record        TEXT NOT NULL
);

-- Who agreed, each in person.
CREATE TABLE decision_approvals (
    experiment_id TEXT NOT NULL REFERENCES decisions (experiment_id),
    user_id       TEXT NOT NULL,
    -- E-mail address at that time.
    approver      TEXT NOT NULL,
    at            BIGINT NOT NULL,
    comment       TEXT,
    PRIMARY KEY (experiment_id, user_id)
);

CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are immutable'); END;
CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are immutable'); END;
CREATE TRIGGER approvals_are_not_changed BEFORE UPDATE ON decision_approvals
BEGIN SELECT RAISE(ABORT, 'decisions are immutable'); END;
CREATE TRIGGER approvals_are_not_deleted BEFORE DELETE ON decision_approvals
BEGIN SELECT RAISE(ABORT, 'decisions are immutable'); END;
