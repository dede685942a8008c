with today as (
    select data_connector as as_of, cast(data_connector as date) as day from {{ ref('as_of') }}
),

-- `1 - Required`, `1` and `Required` occur; the numbers are documented.
items as (
    select
        items.*,
        case trim({{ dbt.split_part('items.status_id', "' - '", 1) }})
            when '1' then 'Required'
            when '2' then 'Open'
            when '3' then 'Closed'
            when '4' then 'Void'
            when '5' then 'Empty'
            when '6' then 'Draft'
            else coalesce(items.status_value, items.status_id, 'unknown')
        end as status
    from {{ ref('stg_submittalsacc_items') }} as items
    where items.bim360_project_id is not null
),

current_steps as (
    select
        item_id,
        count(*) as steps,
        max(case when due_date < today.day then 1 else 0 end) as is_late,
        min(started_at) as started_at
    from {{ ref('stg_submittalsacc_steps') }}
    cross join today
    where lower(status) = 'in-progress'
    group by item_id
),

judged as (
    select
        items.bim360_project_id as project_id,
        items.status,
        case when items.status in ('Closed', 'Void') then 0 else 1 end as is_waiting,
        items.required_on_job_date,
        items.due_date,
        today.day,
        {{ dbt.datediff('items.created_at', 'today.as_of', 'day') }} as age_days,
        current_steps.steps,
        current_steps.is_late as step_is_late
    from items
    cross join today
    left join current_steps on items.id = current_steps.item_id
)

select
    judged.project_id,
    projects.project_name,
    judged.status,
    count(*) as items,
    sum(judged.is_waiting) as waiting,
    sum(case when judged.is_waiting = 1 and judged.required_on_job_date < judged.day then 1 else 0 end) as past_required_on_job,
    sum(
        case
            when
                judged.is_waiting = 1
                and judged.required_on_job_date >= judged.day
                and judged.required_on_job_date <= {{ autodesk_exports.add_days('judged.day', 30) }}
                then 1
            else 0
        end
    ) as required_within_30_days,
    sum(case when judged.is_waiting = 1 and judged.due_date < judged.day then 1 else 0 end) as past_due,
    sum(case when judged.is_waiting = 1 and judged.steps > 0 then 1 else 0 end) as in_review,
    sum(case when judged.is_waiting = 1 then coalesce(judged.step_is_late, 0) else 0 end) as review_late,
    {{ autodesk_exports.rounded('avg(case when judged.is_waiting = 1 then judged.age_days end)', 1) }} as mean_age_days,
    min(case when judged.is_waiting = 1 then judged.required_on_job_date end) as earliest_required_on_job
from judged
left join {{ ref('project_names') }} as projects on judged.project_id = projects.project_id
group by judged.project_id, projects.project_name, judged.status
