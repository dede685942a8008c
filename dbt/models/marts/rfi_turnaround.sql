with today as (
    select data_connector as as_of from {{ ref('as_of') }}
),

moves as (
    select
        rfi_id,
        min(case when lower(to_status) in ('submitted', 'open') then created_at end) as asked_at,
        min(case when lower(to_status) like 'answered%' then created_at end) as answered_at
    from {{ ref('stg_rfis_rfi_transitions') }}
    group by rfi_id
),

-- The transitions tell the first answer; `answered_at` of a question that was asked again, the last.
rfis as (
    select
        rfis.bim360_project_id as project_id,
        rfis.id,
        lower(rfis.status) as status,
        rfis.due_date,
        coalesce(moves.asked_at, rfis.opened_at, rfis.created_at) as asked_at,
        coalesce(moves.answered_at, rfis.answered_at, rfis.responded_at) as answered_at
    from {{ ref('stg_rfis_rfis') }} as rfis
    left join moves on rfis.id = moves.rfi_id
    where
        rfis.bim360_project_id is not null
        and lower(coalesce(rfis.status, '')) not in ('draft', 'void')
),

judged as (
    select
        rfis.*,
        {{ autodesk_exports.month_of('rfis.asked_at') }} as month,
        case when rfis.answered_at is null and coalesce(rfis.status, 'open') <> 'closed' then 1 else 0 end as is_waiting,
        {{ autodesk_exports.ratio(dbt.datediff('rfis.asked_at', 'rfis.answered_at', 'minute'), 1440, 6) }} as days_to_answer,
        today.as_of
    from rfis
    cross join today
    where rfis.asked_at is not null
)

select
    judged.project_id,
    projects.project_name,
    judged.month,
    count(*) as rfis,
    count(judged.answered_at) as answered,
    sum(judged.is_waiting) as waiting,
    {{ autodesk_exports.rounded('avg(judged.days_to_answer)', 2) }} as mean_days_to_answer,
    {{ autodesk_exports.rounded('max(judged.days_to_answer)', 2) }} as longest_days_to_answer,
    sum(case when judged.is_waiting = 1 and judged.due_date < judged.as_of then 1 else 0 end) as overdue,
    sum(case when judged.answered_at <= judged.due_date then 1 else 0 end) as answered_on_time,
    sum(case when judged.answered_at > judged.due_date then 1 else 0 end) as answered_late,
    sum(case when judged.is_waiting = 1 and judged.status = 'submitted' then 1 else 0 end) as with_manager,
    sum(case when judged.is_waiting = 1 and coalesce(judged.status, 'open') <> 'submitted' then 1 else 0 end) as with_reviewer,
    sum(case when judged.answered_at is not null and judged.status <> 'closed' then 1 else 0 end) as answered_not_closed
from judged
left join {{ ref('project_names') }} as projects on judged.project_id = projects.project_id
group by judged.project_id, projects.project_name, judged.month
