DROP TABLE report_looks;
DROP TABLE reports;
