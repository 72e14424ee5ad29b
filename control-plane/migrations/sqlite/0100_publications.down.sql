DROP TABLE signing_key;
DROP TABLE publication_phases;
DROP TABLE publications;
