-- One row for each team, person and offering of the newest usage report, with its last use by seat.
with reported as (
    select
        coalesce(report.team_id, report.team_alias, 'unknown') as team_id,
        coalesce(
            ids.person, report.hashed_autodesk_id, report.autodesk_id, report.email
        ) as person,
        report.offering_name,
        report.seat_assignment,
        report.assigned_date,
        report.last_accessed,
        report.window_start,
        report.exported_at,
        {{ autodesk_exports.is_flex('report.access_option') }} as is_flex
    from {{ ref('stg_insights_usage_report') }} as report
    left join {{ ref('person_ids') }} as ids
        on coalesce(report.hashed_autodesk_id, report.autodesk_id, report.email) = ids.id
),

-- Reports of months are exported in any order: the newest one is that of the newest month.
newest_month as (
    select
        reported.*,
        max(window_start) over (partition by team_id) as newest_window
    from reported
),

newest as (
    select
        newest_month.*,
        max(exported_at) over (partition by team_id) as newest_export
    from newest_month
    where window_start = newest_window or newest_window is null
),

assigned as (
    select
        team_id,
        person,
        offering_name,
        max(case when lower(seat_assignment) = 'assigned' then 1 else 0 end) as assigned,
        min(assigned_date) as assigned_on
    from newest
    where
        -- Without a team nobody knows which export is its newest.
        (exported_at = newest_export or newest_export is null or team_id = 'unknown')
        and not is_flex
        and person is not null
        and offering_name is not null
    group by team_id, person, offering_name
),

last_reported as (
    select team_id, person, offering_name, max(last_accessed) as last_used_on
    from reported
    where not is_flex
    group by team_id, person, offering_name
),

last_used as (
    select team_id, person, offering_name, max(day_used) as last_used_on
    from {{ ref('insights_days') }}
    where not is_flex
    group by team_id, person, offering_name
)

select
    assigned.team_id,
    assigned.person,
    assigned.offering_name,
    assigned.assigned_on,
    {{ autodesk_exports.latest(['last_reported.last_used_on', 'last_used.last_used_on']) }}
        as last_used_on
from assigned
left join last_reported
    on assigned.team_id = last_reported.team_id
    and assigned.person = last_reported.person
    and assigned.offering_name = last_reported.offering_name
left join last_used
    on assigned.team_id = last_used.team_id
    and assigned.person = last_used.person
    and assigned.offering_name = last_used.offering_name
where assigned.assigned = 1
