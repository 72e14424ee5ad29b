DROP TABLE decision_approvals;
DROP TABLE decisions;
