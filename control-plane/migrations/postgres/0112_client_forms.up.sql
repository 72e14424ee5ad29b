-- The client form of a pending publication: a retry must repeat its bytes, as those of the blob.
ALTER TABLE publications ADD COLUMN client_form BYTEA;
