ALTER TABLE shipments ADD COLUMN dispatch BIGINT;
CREATE INDEX shipments_dispatch ON shipments (dispatch);
CREATE INDEX decisions_made ON decisions (made);
