DROP TABLE decision_approvals;
DROP TABLE decisions;
DROP FUNCTION refuse_change_of_decisions();
