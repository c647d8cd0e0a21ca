-- Exceptions without a score, which are few: an index of all open ones would be read, and sorted, for lists of these.
DROP INDEX worklist_kind;
CREATE INDEX worklist_faults ON worklist (id) WHERE state = 'open' AND kind = 'data_fault';
