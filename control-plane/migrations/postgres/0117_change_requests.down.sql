DROP TABLE change_request_approvals;
DROP TABLE change_requests;
