-- Nothing was ever written there: what happened stands in the log.
DROP TABLE events;
