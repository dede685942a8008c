-- Databricks: one run's files of one table. RUN is the folder that load.sh was given.
CREATE TABLE IF NOT EXISTS schedule_schedules (
    id STRING,
    bim360_account_id STRING,
    bim360_project_id STRING,
    name STRING,
    type STRING,
    version_number DECIMAL(38, 10),
    is_public BOOLEAN,
    created_by STRING,
    updated_by STRING,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    _export_id STRING,
    _exported_at TIMESTAMP,
    _rescued_data STRING,
    _row_id STRING
);
CREATE OR REPLACE TABLE loaded AS SELECT * FROM schedule_schedules WHERE FALSE;
COPY INTO loaded
FROM 's3://BUCKET/autodesk/RUN/'
FILEFORMAT = PARQUET
PATTERN = 'tap-autodesk-exports--schedule_schedules-*';
-- A snapshot replaces the rows of the accounts that it has. These are two transactions.
DELETE FROM schedule_schedules
WHERE bim360_account_id IN (SELECT bim360_account_id FROM loaded);
INSERT INTO schedule_schedules SELECT * FROM loaded;
