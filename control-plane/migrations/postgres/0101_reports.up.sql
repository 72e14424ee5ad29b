-- The latest report of each experiment, as the analysis handed it in.
CREATE TABLE reports (
    experiment_id  TEXT    NOT NULL PRIMARY KEY,
    environment_id TEXT    NOT NULL,
    generation     BIGINT  NOT NULL,
    as_of          BIGINT  NOT NULL,
    received_at    BIGINT  NOT NULL,
    report         TEXT    NOT NULL
);

-- Each analysis in which something was new. Sequential methods depend on when one looked.
CREATE TABLE report_looks (
    experiment_id  TEXT    NOT NULL,
    as_of          BIGINT  NOT NULL,
    look           TEXT    NOT NULL,
    PRIMARY KEY (experiment_id, as_of)
);
