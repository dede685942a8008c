-- Redshift: one run's files of one table. Columns must have the order of the files: that of the
-- stream's schema. RUN is the folder that load.sh was given.
CREATE TABLE IF NOT EXISTS schedule_schedules (
    id VARCHAR(36),
    bim360_account_id VARCHAR(36),
    bim360_project_id VARCHAR(36),
    name VARCHAR(65535),
    type VARCHAR(65535),
    version_number DECIMAL(38, 10),
    is_public BOOLEAN,
    created_by VARCHAR(65535),
    updated_by VARCHAR(65535),
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    _export_id VARCHAR(65535),
    _exported_at TIMESTAMP,
    _rescued_data VARCHAR(65535),
    _row_id VARCHAR(32)
);
CREATE TEMPORARY TABLE loaded (LIKE schedule_schedules);
COPY loaded
FROM 's3://BUCKET/autodesk/RUN/tap-autodesk-exports--schedule_schedules-'
IAM_ROLE 'arn:aws:iam::ACCOUNT:role/ROLE'
FORMAT AS PARQUET;
-- A snapshot replaces the rows of the accounts that it has.
BEGIN;
DELETE FROM schedule_schedules
WHERE bim360_account_id IN (SELECT bim360_account_id FROM loaded);
INSERT INTO schedule_schedules SELECT * FROM loaded;
COMMIT;
