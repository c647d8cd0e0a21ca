-- Entries hold moments in RFC 3339 and probabilities from 0 to 1. What is still wrong is found again.
DELETE FROM worklist;
