ALTER TABLE publications DROP COLUMN client_form;
