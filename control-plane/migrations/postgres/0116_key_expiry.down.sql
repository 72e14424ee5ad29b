ALTER TABLE sdk_keys DROP COLUMN expires_at;
