ALTER TABLE versions DROP COLUMN comment;
ALTER TABLE api_tokens DROP COLUMN last_used_at;
ALTER TABLE api_tokens DROP COLUMN expires_at;
DROP TABLE sessions;
DROP TABLE grants;
DROP TABLE users;
