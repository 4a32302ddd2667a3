"""thermal-shipper: carries the spool to Snowflake and acknowledges only what is committed there."""
