-- When a key stops working by itself: the scheduler takes it out of the config then.
ALTER TABLE sdk_keys ADD COLUMN expires_at BIGINT;
