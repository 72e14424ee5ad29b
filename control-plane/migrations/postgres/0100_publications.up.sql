-- Every generation that was published or tried. A row is written before anything goes to object storage; while it
-- is pending it holds the bytes, because a retry must repeat them exactly.
CREATE TABLE publications (
    environment_id TEXT    NOT NULL,
    generation     BIGINT  NOT NULL,
    author         TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'live', 'superseded')),
    -- The definitions' revision that was compiled.
    revision       BIGINT  NOT NULL,
    -- Hash of what was compiled, without generation and time: equal content is not published twice.
    content        TEXT    NOT NULL,
    -- The generation whose archived definitions this one repeats.
    rollback_of    BIGINT,
    -- JSON of the numbered manifest: object, blake3, size, signature.
    manifest       TEXT    NOT NULL,
    blob           BYTEA,
    plan           BYTEA,
    created_at     BIGINT  NOT NULL,
    live_at        BIGINT,
    PRIMARY KEY (environment_id, generation)
);

CREATE INDEX publications_pending ON publications (environment_id) WHERE state = 'pending';

-- The first generation of each phase of an experiment: exposures of older generations belong to older phases.
CREATE TABLE publication_phases (
    experiment_id  TEXT    NOT NULL,
    phase          BIGINT  NOT NULL,
    environment_id TEXT    NOT NULL,
    generation     BIGINT  NOT NULL,
    PRIMARY KEY (experiment_id, phase)
);

-- The Ed25519 key that signs configs, for installations that are given none.
CREATE TABLE signing_key (
    id             BIGINT  NOT NULL PRIMARY KEY CHECK (id = 1),
    seed           BYTEA    NOT NULL,
    created_at     BIGINT  NOT NULL
);
