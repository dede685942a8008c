-- Snowflake: one run's files of one table. RUN is the folder that load.sh was given; the stage
-- `autodesk` is the folder above it.
CREATE TABLE IF NOT EXISTS schedule_schedules (
    id VARCHAR,
    bim360_account_id VARCHAR,
    bim360_project_id VARCHAR,
    name VARCHAR,
    type VARCHAR,
    version_number NUMBER(38, 10),
    is_public BOOLEAN,
    created_by VARCHAR,
    updated_by VARCHAR,
    created_at TIMESTAMP_LTZ(6),
    updated_at TIMESTAMP_LTZ(6),
    _export_id VARCHAR,
    _exported_at TIMESTAMP_LTZ(6),
    _rescued_data VARCHAR,
    _row_id VARCHAR
);
CREATE OR REPLACE TEMPORARY TABLE loaded LIKE schedule_schedules;
COPY INTO loaded
FROM @autodesk/RUN/
PATTERN = '.*--schedule_schedules-.*[.]parquet'
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE;
-- A snapshot replaces the rows of the accounts that it has.
BEGIN;
DELETE FROM schedule_schedules
WHERE bim360_account_id IN (SELECT bim360_account_id FROM loaded);
INSERT INTO schedule_schedules SELECT * FROM loaded;
COMMIT;
-- A dated table, such as activities_issues_activities, is merged by its key instead:
-- MERGE INTO target USING loaded ON target._row_id = loaded._row_id
-- WHEN MATCHED THEN UPDATE SET … WHEN NOT MATCHED THEN INSERT …;
