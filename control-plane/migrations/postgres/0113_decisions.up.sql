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

CREATE FUNCTION refuse_change_of_decisions() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'decisions are immutable'; END $$;
CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE OR DELETE ON decisions
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_decisions();
CREATE TRIGGER decisions_are_not_emptied BEFORE TRUNCATE ON decisions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_decisions();
CREATE TRIGGER approvals_are_not_changed BEFORE UPDATE OR DELETE ON decision_approvals
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_decisions();
CREATE TRIGGER approvals_are_not_emptied BEFORE TRUNCATE ON decision_approvals
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_decisions();
