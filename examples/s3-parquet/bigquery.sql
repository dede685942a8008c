-- BigQuery: one run's files of one table, from a bucket of Google Cloud Storage (extra `gcs`). RUN is
-- the folder that load.sh was given.
CREATE TABLE IF NOT EXISTS autodesk.schedule_schedules (
    id STRING,
    bim360_account_id STRING,
    bim360_project_id STRING,
    name STRING,
    type STRING,
    version_number BIGNUMERIC(38, 10),
    is_public BOOL,
    created_by STRING,
    updated_by STRING,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    _export_id STRING,
    _exported_at TIMESTAMP,
    _rescued_data STRING,
    _row_id STRING
);
CREATE OR REPLACE TABLE autodesk.loaded LIKE autodesk.schedule_schedules;
LOAD DATA INTO autodesk.loaded
FROM FILES (
    format = 'PARQUET',
    uris = ['gs://BUCKET/autodesk/RUN/tap-autodesk-exports--schedule_schedules-*']
);
-- A snapshot replaces the rows of the accounts that it has.
BEGIN TRANSACTION;
DELETE FROM autodesk.schedule_schedules
WHERE bim360_account_id IN (SELECT bim360_account_id FROM autodesk.loaded);
INSERT INTO autodesk.schedule_schedules SELECT * FROM autodesk.loaded;
COMMIT TRANSACTION;
