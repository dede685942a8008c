with today as (
    select data_connector as as_of from {{ ref('as_of') }}
),

-- A draft is seen by its author alone. What Autodesk calls closed or not approved is over.
issues as (
    select
        bim360_project_id as project_id,
        issue_id,
        coalesce(opened_at, created_at) as opened_at,
        case
            when lower(status) in ('closed', 'not_approved', 'void')
                then coalesce(closed_at, updated_at, created_at)
            when lower(status) in (
                'open', 'pending', 'in_review', 'in_progress', 'in_dispute', 'completed', 'answered',
                'work_completed', 'ready_to_inspect'
            ) then null
            else closed_at
        end as closed_at,
        deleted_at,
        due_date
    from {{ ref('stg_issues_issues') }}
    where bim360_project_id is not null and lower(coalesce(status, '')) <> 'draft'
),

lives as (
    select
        project_id,
        issue_id,
        opened_at,
        case when deleted_at < closed_at or closed_at is null then deleted_at else closed_at end as ended_at,
        case when deleted_at is null or closed_at <= deleted_at then closed_at end as closed_at,
        due_date
    from issues
    where opened_at is not null
),

bounds as (
    select project_id, {{ autodesk_exports.week_of('min(opened_at)') }} as first_week
    from lives
    group by project_id
),

-- The present week ends with the extract.
weeks as (
    select
        bounds.project_id,
        {{ autodesk_exports.add_days('bounds.first_week', '7 * numbers.number') }} as week,
        case
            when cast({{ autodesk_exports.add_days('bounds.first_week', '7 * numbers.number + 7') }} as {{ dbt.type_timestamp() }}) < today.as_of
                then cast({{ autodesk_exports.add_days('bounds.first_week', '7 * numbers.number + 7') }} as {{ dbt.type_timestamp() }})
            else today.as_of
        end as week_end
    from bounds
    cross join today
    cross join {{ autodesk_exports.numbers(1500) }}
    where cast({{ autodesk_exports.add_days('bounds.first_week', '7 * numbers.number') }} as {{ dbt.type_timestamp() }}) <= today.as_of
),

standing as (
    select
        weeks.project_id,
        weeks.week,
        weeks.week_end,
        count(lives.issue_id) as open_issues,
        sum(case when lives.due_date < weeks.week_end then 1 else 0 end) as overdue_issues,
        avg(
            cast({{ dbt.datediff('lives.opened_at', 'weeks.week_end', 'day') }} as {{ dbt.type_numeric() }})
        ) as mean_age,
        max({{ dbt.datediff('lives.opened_at', 'weeks.week_end', 'day') }}) as oldest_age
    from weeks
    left join lives
        on weeks.project_id = lives.project_id
        and lives.opened_at < weeks.week_end
        and (lives.ended_at is null or lives.ended_at >= weeks.week_end)
    group by weeks.project_id, weeks.week, weeks.week_end
),

opened as (
    select project_id, {{ autodesk_exports.week_of('opened_at') }} as week, count(*) as issues
    from lives
    group by 1, 2
),

closed as (
    select project_id, {{ autodesk_exports.week_of('closed_at') }} as week, count(*) as issues
    from lives
    where closed_at is not null
    group by 1, 2
)

select
    standing.project_id,
    projects.project_name,
    standing.week,
    standing.week_end as counted_at,
    coalesce(opened.issues, 0) as opened_issues,
    coalesce(closed.issues, 0) as closed_issues,
    standing.open_issues,
    standing.overdue_issues,
    {{ autodesk_exports.rounded('standing.mean_age', 1) }} as mean_age_days,
    standing.oldest_age as oldest_age_days,
    standing.week_end = today.as_of as is_latest
from standing
cross join today
left join opened on standing.project_id = opened.project_id and standing.week = opened.week
left join closed on standing.project_id = closed.project_id and standing.week = closed.week
left join {{ ref('project_names') }} as projects on standing.project_id = projects.project_id
